# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a start takes over from earlier ones: pieces without their policy, seconds, and what a kill leaves."""

import shutil

import pytest
from bag_factory import sample_messages, write_bag
from recorded_run import SMALL, analysed, order

from vla_iss_ros.analysis.bag_analysis import analyse, require_policy_of
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.pieces import Maps, StoredPiece
from vla_iss_ros.analysis.resuming import ResumeError
from vla_iss_ros.analysis.run_directory import AnalysisRun, DamagedInfoError, RunDirectory
from vla_iss_ros.cli.analyze_bag import main
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import shipped_samples

STAGES = ("explain", "policy", "decode")


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages((2, 1)))


@pytest.fixture(scope="module")
def finished(bag, tmp_path_factory):
    """Return a checkpoint and the directory of a complete run under it, whose checkpoint is gone."""
    place = tmp_path_factory.mktemp("run")
    checkpoint = place / "mine.safetensors"
    shutil.copy(shipped_samples() / "policies" / "clean.safetensors", checkpoint)
    analysed(bag, place / "out", policy=f"builtin:{checkpoint}")
    checkpoint.unlink()
    return checkpoint, place / "out"


@pytest.fixture
def policy(finished):
    return f"builtin:{finished[0]}"


@pytest.fixture
def out(finished, tmp_path):
    """Return a copy of that directory."""
    shutil.copytree(finished[1], tmp_path / "out")
    return RunDirectory(tmp_path / "out")


class Killed(BaseException):
    """Ends a start as a kill does: nothing deals with it."""


class KilledAfterOne(SerialEngine):
    """Ends when the first segment is stored."""

    def run(self, tasks, on_frame=lambda: None):
        yield next(super().run(tasks, on_frame))
        raise Killed


def killed_while_drawing(*_):
    raise Killed


def damage(piece):
    """Overwrite bytes in the middle of a piece, where its pictures are."""
    data = bytearray(piece.read_bytes())
    middle = data.index(b"image/front/") + 200
    data[middle : middle + 50] = bytes(50)
    piece.write_bytes(data)


def test_a_complete_run_is_drawn_again_when_its_checkpoint_is_gone(bag, out, policy, finished):
    identity = out.read_info()["identity"]
    assert len(identity["policy hash"]) == 64
    out.csv.unlink()
    assert analysed(bag, out.path, policy=policy).explained == 3
    assert out.csv.exists()
    assert out.read_info()["identity"] == identity
    shutil.copy(shipped_samples() / "policies" / "shortcut.safetensors", finished[0])
    try:
        with pytest.raises(ResumeError, match="holds another run: policy hash was"):
            analysed(bag, out.path, policy=policy)
    finally:
        finished[0].unlink()


def test_a_start_that_was_killed_while_drawing_again_needs_no_policy(bag, out, policy):
    with pytest.raises(Killed):
        analyse(order(bag, policy=policy), out, SerialEngine(), sinks=killed_while_drawing)
    assert out.read_info()["status"] == "running"
    require_policy_of(order(bag, policy=policy), out)
    assert analysed(bag, out.path, policy=policy).explained == 3
    assert out.read_info()["status"] == "complete"


@pytest.mark.parametrize("spoil", [damage, lambda piece: piece.unlink()], ids=["damaged", "missing"])
def test_a_piece_to_be_explained_asks_for_the_policy_and_leaves_the_run_as_it_is(bag, out, policy, spoil):
    spoil(out.piece("tiny-000001"))
    before = out.info.read_bytes()
    for start in (analysed, lambda *_, **changes: require_policy_of(order(bag, **changes), out)):
        with pytest.raises(PolicyError, match=r"mine\.safetensors"):
            start(bag, out.path, policy=policy)
    assert out.info.read_bytes() == before


def test_restart_asks_for_the_policy_of_a_complete_run(bag, out, policy):
    with pytest.raises(PolicyError, match=r"mine\.safetensors"):
        analysed(bag, out.path, policy=policy, restart=True)
    with AnalysisRun.open(out.path) as run:
        assert len(run.rows) == 3


def test_another_policy_that_is_not_there_is_another_run(bag, out):
    with pytest.raises(ResumeError, match=r"another run: policy was .* and is now 'builtin:/nowhere';"):
        analysed(bag, out.path, policy="builtin:/nowhere")


def stored_seconds(out):
    """Return the seconds of all pieces by stage."""
    total = dict.fromkeys(STAGES, 0.0)
    for path in sorted(out.pieces.iterdir()):
        with StoredPiece(path) as piece:
            total = {stage: total[stage] + piece.seconds[stage] for stage in STAGES}
    return total


def test_run_json_has_the_seconds_of_all_starts_and_the_outcome_those_of_the_last(bag, tmp_path):
    out = RunDirectory(tmp_path / "out")
    with pytest.raises(Killed):
        analyse(order(bag), out, KilledAfterOne())
    first = stored_seconds(out)
    resumed = analysed(bag, out.path)
    total = out.read_info()["seconds"]
    assert set(total) == set(resumed.seconds) == {*STAGES, "write", "wall"}
    for stage in STAGES:
        assert total[stage] == pytest.approx(stored_seconds(out)[stage])
        assert total[stage] == pytest.approx(first[stage] + resumed.seconds[stage])
        assert first[stage] > 0
    again = analysed(bag, out.path)
    assert set(again.seconds) == {"write", "wall"}
    assert out.read_info()["seconds"] == {**total, **again.seconds}


def test_a_run_from_scratch_has_the_same_seconds_in_both(bag, tmp_path):
    seconds = analysed(bag, tmp_path / "out").seconds
    assert RunDirectory(tmp_path / "out").read_info()["seconds"] == pytest.approx(seconds)
    assert 0 < seconds["policy"] <= seconds["explain"] < seconds["wall"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_start_that_was_killed_within_its_first_run_json_is_no_obstacle(bag, tmp_path, restart):
    left = tmp_path / ".run.json.4711.partial"
    left.write_bytes(b'{"format": 1, "cam')
    assert analysed(bag, tmp_path, restart=restart).explained == 3
    assert not left.exists()


def test_unfinished_files_of_others_are_left_alone(bag, tmp_path):
    other = tmp_path / ".policy.4711.partial"
    other.mkdir()
    with pytest.raises(ResumeError, match="holds other files and no analysis"):
        analysed(bag, tmp_path)
    assert other.is_dir()


@pytest.mark.parametrize("content", [b"", b'{"format": 1, "cam', b"\xff\xfe\x00"])
def test_restart_throws_a_run_away_whose_run_json_is_damaged(bag, out, content):
    out.info.write_bytes(content)
    (out.path / "notes.txt").write_text("mine")
    with pytest.raises(
        DamagedInfoError, match=r"cannot read '.*run\.json': .*; analyse anew with --restart, or"
    ):
        analysed(bag, out.path)
    assert out.piece("tiny-000000").exists()
    with pytest.raises(Killed):
        analyse(order(bag), out, KilledAfterOne(), restart=True)
    assert sorted(path.name for path in out.path.iterdir()) == [".lock", "notes.txt", "pieces", "run.json"]
    assert [path.name for path in out.pieces.iterdir()] == ["tiny-000000.piece"]
    assert analysed(bag, out.path).explained == 3


def test_restart_does_not_overwrite_the_run_json_of_another_program(bag, tmp_path):
    (tmp_path / "run.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="must have format 1, got other; analyse into another directory"):
        analysed(bag, tmp_path, restart=True)
    assert (tmp_path / "run.json").read_text() == '{"format": "other"}'


def test_a_piece_with_a_damaged_picture_is_made_again(bag, tmp_path):
    out = RunDirectory(tmp_path / "out")
    analysed(bag, out.path)
    kept, damaged = out.piece("tiny-000000"), out.piece("tiny-000001")
    before = kept.stat().st_mtime_ns
    damage(damaged)
    assert out.whole_pieces() == {"tiny-000000"}
    assert analysed(bag, out.path).explained == 3
    assert out.whole_pieces() == {"tiny-000000", "tiny-000001"}
    assert kept.stat().st_mtime_ns == before


def test_maps_that_are_drawn_without_the_policy_name_its_hash(bag, out, policy):
    shutil.rmtree(out.maps)
    analysed(bag, out.path, policy=policy)
    _, about = Maps.of_bytes((out.maps / "tiny-0.npz").read_bytes())
    assert about["policy_hash"] == out.read_info()["identity"]["policy hash"] != ""


def test_what_was_left_out_is_added_without_the_policy(bag, tmp_path, capsys):
    checkpoint = tmp_path / "mine.safetensors"
    shutil.copy(shipped_samples() / "policies" / "clean.safetensors", checkpoint)
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    command = [str(bag), "--policy", f"builtin:{checkpoint}", "--out", str(tmp_path / "out"), *settings]
    assert main([*command, "--without", "maps", "videos", "mcap"]) == 0
    checkpoint.unlink()
    assert main([*command, "--without", "videos"]) == 0
    assert (tmp_path / "out" / "maps" / "tiny-0.npz").exists()
    assert (tmp_path / "out" / "analysis.mcap").exists()
    assert "0% of it within the policy" in capsys.readouterr().out
    assert main([*command, "--restart"]) == 2
    assert "mine.safetensors" in capsys.readouterr().err
