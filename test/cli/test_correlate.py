from vla_iss_ros.cli.correlate import main


def test_tables_end_in_one_line(tmp_path, capsys):
    (tmp_path / "n.csv").write_text("task,nmr_10\na,0.1\nb,0.3\nc,0.5\nd,0.6\n")
    (tmp_path / "s.csv").write_text("task,success\na,0.9\nb,0.6\nc,0.4\nd,0.1\n")
    out = tmp_path / "out"
    assert main([str(tmp_path / "n.csv"), str(tmp_path / "s.csv"), "--out", str(out)]) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith("correlate: NMR@10 and success over 4 points: r = -0.98 [")
    )
    assert sorted(path.name for path in out.iterdir()) == ["correlation.csv", "correlation.png"]


def test_bad_tables_are_one_line(tmp_path, capsys):
    (tmp_path / "n.csv").write_text("task,nmr_5\na,0.1\n")
    (tmp_path / "s.csv").write_text("task,success\na,0.9\n")
    command = [str(tmp_path / "n.csv"), str(tmp_path / "s.csv"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "has no column nmr_10; it has k = [5]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["/absent.csv", command[1], "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
