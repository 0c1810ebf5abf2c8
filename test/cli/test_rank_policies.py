import csv

from bag_factory import sample_messages, write_bag

from vla_iss_ros.cli.rank_policies import main
from vla_iss_ros.policies.loading import shipped_samples


def test_one_line_a_policy_best_first(tmp_path, capsys):
    bag = write_bag(tmp_path / "tiny", sample_messages((3, 3)))
    policies = [
        f"builtin:{shipped_samples() / 'policies' / name}.safetensors" for name in ("clean", "shortcut")
    ]
    fast = ["--samples", "32", "--grid", "3", "--estimator", "spatial", "--nmr-size", "32", "--no-effects"]
    command = [str(bag), "--out", str(tmp_path / "out"), *fast]
    for policy in policies:
        command += ["--policy", policy]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines[0].startswith("rank_policies: 1. builtin:")
    assert "below it with probability" in lines[0]
    assert lines[1].startswith("rank_policies: 2. builtin:")
    with (tmp_path / "out" / "ranking.csv").open() as file:
        found = list(csv.DictReader(file))
    assert float(found[0]["nmr_10"]) <= float(found[1]["nmr_10"])
    assert (tmp_path / "out" / "ranking.png").read_bytes().startswith(b"\x89PNG")
    assert main([*command, "--fail-above", "-1"]) == 1
    assert main([*command, "--policy", policies[0]]) == 2
    assert "must name different policies" in capsys.readouterr().err
