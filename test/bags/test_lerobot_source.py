# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from lerobot_factory import FPS, NAMES, colour, picture, write_dataset

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.lerobot_layout import is_dataset, read_layout
from vla_iss_ros.bags.lerobot_source import LeRobotSource, guess_features

SECOND = 10**9
IMAGES = (("front", "observation.images.front"), ("wrist", "observation.images.wrist"))


def source(path, **changes):
    return LeRobotSource("tiny", path, IMAGES, "observation.state", tuple(NAMES), **changes)


def read(path, length=16, **changes):
    """Return (plan, segment and frame of every frame, problems)."""
    problems = Counter()
    with source(path, **changes).open() as opened:
        plan = opened.plan(length)
        found = [(segment, frame) for segment in plan.segments for frame in opened.frames(segment, problems)]
    return plan, found, problems


@pytest.fixture(scope="module", params=["v2.1", "v3.0", "v2.1 images", "v3.0 images"])
def dataset(request, tmp_path_factory):
    version, *images = request.param.split()
    root = write_dataset(tmp_path_factory.mktemp("data") / "tiny", version, images=bool(images))
    return root, bool(images)


@pytest.mark.parametrize("length", [1, 2, 3, 16])
def test_every_frame_has_its_pictures_state_task_and_stamp(dataset, length):
    root, images = dataset
    plan, found, problems = read(root, length)
    assert not problems
    assert plan.episodes == ("tiny/0", "tiny/1")
    assert [(frame.observation.instruction, frame.frame) for _, frame in found] == [
        *(("task 0", index) for index in range(5)),
        *(("task 1", index) for index in range(4)),
    ]
    for place, (segment, frame) in enumerate(found):
        episode, index = segment.episode, frame.frame
        assert segment.start <= frame.observation.stamp < segment.stop
        assert frame.observation.stamp == (1 + episode) * SECOND + place * SECOND // FPS
        assert frame.observation.state.tolist() == [episode, index, 0.5, 1.0]
        for camera, pixels in frame.observation.images.items():
            apart = np.abs(pixels.astype(int) - picture(episode, index, camera))
            assert apart.max() <= (0 if images else 4), (colour(episode, index, camera), pixels[0, 0])
        assert set(frame.encoded) == (set(frame.observation.images) if images else set())


def test_segments_do_not_cross_episodes(dataset):
    plan, _, _ = read(dataset[0], 3)
    assert [(each.episode, each.first_frame, each.frames) for each in plan.segments] == [
        (0, 0, 3),
        (0, 3, 2),
        (1, 0, 3),
        (1, 3, 1),
    ]


def test_features_are_guessed_from_their_names(dataset):
    layout = read_layout(dataset[0])
    assert is_dataset(dataset[0])
    assert guess_features(layout, ["front", "wrist"], NAMES) == (dict(IMAGES), "observation.state")
    assert guess_features(layout, ["a", "b"], ["x"]) == (
        dict(zip("ab", dict(IMAGES).values(), strict=True)),
        "",
    )
    with pytest.raises(BagError, match=r"no images of camera 'head'; its cameras: observation\.images\.f"):
        guess_features(layout, ["front", "head"], NAMES)


def test_a_feature_that_is_missing_is_named(dataset):
    wrong = LeRobotSource("tiny", dataset[0], (("front", "observation.images.top"),))
    with pytest.raises(
        BagError, match=r"camera 'front' in 'observation.images.top'; .*--image front=FEATURE"
    ):
        wrong.open()
    with pytest.raises(BagError, match=r"has no 'elbow'; its names: hand_x, hand_y.*--state-names"):
        LeRobotSource("tiny", dataset[0], IMAGES, "observation.state", ("elbow",)).open()


def test_a_missing_video_leaves_its_episode_out(tmp_path):
    root = write_dataset(tmp_path / "tiny")
    for path in root.glob("videos/*/*wrist/episode_000000.mp4"):
        path.unlink()
    plan, found, _ = read(root)
    assert plan.problems == {"episode: its video of camera 'wrist' is missing": 1}
    assert {segment.episode for segment, _ in found} == {1}
    shutil.rmtree(root / "videos")
    with pytest.raises(
        BagError, match=r"nothing to read: '.*observation.images.front/episode_000001.mp4' is"
    ):
        read(root)


def test_a_video_that_ends_early_leaves_frames_out(tmp_path):
    root = write_dataset(tmp_path / "tiny")
    short = write_dataset(tmp_path / "short", lengths=(3, 4))
    name = "videos/chunk-000/observation.images.front/episode_000000.mp4"
    shutil.copy(short / name, root / name)
    _, found, problems = read(root)
    assert problems == {"image of front: the video has none at this time": 2}
    assert len(found) == 7


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("v2.1", "data/chunk-000/episode_000000.parquet"),
        ("v3.0", "data/chunk-000/file-000.parquet"),
        ("v3.0", "meta/tasks.parquet"),
        ("v3.0", "meta/episodes/chunk-000/file-000.parquet"),
    ],
)
def test_a_truncated_table_is_named(tmp_path, version, name):
    root = write_dataset(tmp_path / "tiny", version)
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BagError, match=rf"^cannot read the table '.*{name}': [^\n]*; copy it again$"):
        read(root)


def test_a_truncated_video_is_named(tmp_path):
    root = write_dataset(tmp_path / "tiny")
    path = root / "videos/chunk-000/observation.images.front/episode_000000.mp4"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BagError, match=r"cannot read the video '.*episode_000000.mp4': "):
        read(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v1.6"}, r"has version v1\.6; v2\.0, v2\.1 and v3\.x can be read"),
        ({"codebase_version": None}, "has version None"),
        ({"features": None}, "cannot read the data set"),
        ({"fps": 0}, r"fps must be in \[0\.001, 1e\+06\], got 0"),
        ({"fps": 1e-300}, r"fps must be in .*, got 1e-300"),
        ({"chunks_size": 0}, r"tiny': chunks_size must be in \[1, inf\], got 0"),
        ({"data_path": "../{episode_index:06d}.parquet"}, "leads out of the data set"),
        ({"video_path": "{video_key.__class__}.mp4"}, "has fields that the format does not know"),
        ({"data_path": "{episode_index:999999999d}"}, "has fields that the format does not know"),
    ],
)
def test_what_the_data_set_says_of_itself_is_not_believed(tmp_path, change, message):
    root = write_dataset(tmp_path / "tiny")
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps({**info, **change}))
    with pytest.raises(BagError, match=message):
        read(root)


def test_broken_pictures_and_states_leave_frames_out(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = write_dataset(tmp_path / "tiny", images=True)
    path = root / "data/chunk-000/episode_000001.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["observation.images.front"]["bytes"] = b"no picture"
    rows[1]["observation.images.front"] = {"bytes": None, "path": "../../../../etc/passwd"}
    rows[2]["observation.state"][1] = float("nan")
    pq.write_table(pa.Table.from_pylist(rows), path)
    _, found, problems = read(root)
    assert [frame.frame for segment, frame in found if segment.episode == 1] == [3]
    assert sum(problems.values()) == 3
    assert problems["frame: no picture"] == 1
    assert problems["frame: not finite"] == 1


def test_it_describes_itself_and_notices_changes(tmp_path):
    root = write_dataset(tmp_path / "tiny")
    before = source(root).describe()
    assert json.loads(json.dumps(before)) == before
    assert before["kind"] == "LeRobot"
    (root / "analysis").mkdir()
    (root / "analysis" / "frames.parquet").write_text("x")
    assert source(root).describe() == before
    (root / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "another"}\n')
    assert source(root).describe()["fingerprint"] != before["fingerprint"]
    _, found, problems = read(root)
    assert found[0][1].observation.instruction == "another"
    assert problems == {"instruction: none": 4}
    _, found, problems = read(root, instruction="stand in")
    assert found[-1][1].observation.instruction == "stand in"
    assert not problems


@pytest.mark.parametrize("length", ["Infinity", "NaN", "-1", "1e18"])
def test_an_episode_of_an_impossible_length_is_refused(tmp_path, length):
    root = write_dataset(tmp_path / "tiny")
    path = root / "meta/episodes.jsonl"
    path.write_text(path.read_text().replace('"length": 5', f'"length": {length}'))
    with pytest.raises(BagError, match=r"tiny': an episode's length must be in \[0, 1e\+07\], got "):
        read(root)


@pytest.mark.parametrize(
    ("name", "value"), [("length", 2**62), ("videos/observation.images.wrist/from_timestamp", float("inf"))]
)
def test_impossible_numbers_in_the_table_of_episodes_are_refused(tmp_path, name, value):
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = write_dataset(tmp_path / "tiny", "v3.0")
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[1][name] = value
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(BagError, match=rf"tiny': .*{name.rpartition('/')[2]}.* must be in \[0, 1e"):
        read(root)


def test_tasks_pass_the_check_of_instructions(tmp_path):
    root = write_dataset(tmp_path / "tiny")
    # A half surrogate, which JSON can spell and UTF-8 cannot write, and white space.
    tasks = [r'{"task_index": 0, "task": "pick \ud800"}', r'{"task_index": 1, "task": " put\n it  down"}']
    (root / "meta/tasks.jsonl").write_text("\n".join(tasks))
    plan, found, problems = read(root)
    assert plan.problems == {
        r"instruction: control character in a task, first in 0 ('pick \ud800')": 1,
    }
    assert problems == {"instruction: none": 5}
    assert {frame.observation.instruction for _, frame in found} == {"", "put it down"}
    _, found, problems = read(root, instruction="stand in")
    assert found[0][1].observation.instruction == "stand in"
    assert not problems


def test_refused_tasks_are_counted_by_reason(tmp_path):
    root = write_dataset(tmp_path / "tiny")
    tasks = [{"task_index": number, "task": "x" * 5000} for number in range(3)]
    (root / "meta/tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    plan, _, _ = read(root)
    assert plan.problems == {f"instruction: too long in a task, first in 0 ('{'x' * 40}')": 3}
