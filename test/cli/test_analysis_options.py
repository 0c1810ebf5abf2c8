# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the options of an analysis are checked against before its work starts."""

import argparse
from pathlib import Path

import pytest
from bag_factory import sample_messages, write_bag
from lerobot_factory import write_dataset
from mcap.writer import Writer as McapWriter
from message_factory import TYPESTORE

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.cli.analysis_options import add_analysis_options, order_of, unique_names
from vla_iss_ros.cli.analyze_bag import main


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages((2,)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "set", images=True, lengths=(2,))


def ordered(*arguments):
    """Return the order, what is said, and what is warned of."""
    parser = argparse.ArgumentParser()
    add_analysis_options(parser)
    said, warned = [], []
    options = parser.parse_args([str(argument) for argument in arguments])
    return order_of(options, said.append, warned.append), said, warned


@pytest.mark.parametrize(
    "arguments",
    [
        ["--episode-topic", "/typo"],
        ["--instruction-topic", "/typo"],
        ["--state-topic", "/typo"],
        ["--regions", "front=/typo"],
        ["--image", "front=/typo", "--image", "wrist=/wrist/image/compressed"],
    ],
)
def test_a_topic_that_is_not_in_the_bag_is_one_line(bag, tmp_path, capsys, arguments):
    for bags in ([bag], [write_bag(tmp_path / "other", sample_messages((2,))), bag]):
        assert main([*map(str, bags), "--out", str(tmp_path / "out"), *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"bag '{bags[0]}' has no topic '/typo' (" in line
        assert f"see {arguments[0]}; its topics: /end_effector_state, /episode, " in line
    assert not (tmp_path / "out").exists()


def test_the_one_bag_among_several_that_lacks_a_topic_is_named(bag, tmp_path):
    bare = write_bag(tmp_path / "bare", sample_messages((2,), markers=False))
    with pytest.raises(ValueError, match=r"bare' has no topic '/episode' \(episode\)"):
        ordered(bag, bare, "--episode-topic", "/episode")
    assert ordered(bag, bare, "--episode-topic", "")[2] == []
    assert [source.episode_topic for source in ordered(bag, bare)[0].sources] == ["/episode", ""]


@pytest.mark.parametrize(
    "line",
    [
        "state_topic: /typo",
        "instruction_topic: /typo",
        "episode_topic: /typo",
        "region_topics: /front/regions, /typo",
        "image_topics: /front/image/compressed, /typo",
    ],
)
def test_topics_of_a_parameter_file_are_looked_for_too(bag, tmp_path, line):
    parameters = tmp_path / "params.yaml"
    parameters.write_text(f"/**:\n  ros__parameters:\n    {line}\n")
    with pytest.raises(ValueError, match="has no topic '/typo'"):
        ordered(bag, "--params", parameters)
    if line.startswith("region"):
        assert ordered(bag, "--params", parameters, "--regions", "none")[2] == []


def test_an_image_topic_that_one_of_several_bags_lacks_is_named(bag, tmp_path):
    moved = [
        ("/side" if topic == "/front/image/compressed" else topic, *rest)
        for topic, *rest in sample_messages((2,))
    ]
    other = write_bag(tmp_path / "other", moved)
    named = ["--image", "front=/front/image/compressed", "--image", "wrist=/wrist/image/compressed"]
    with pytest.raises(
        ValueError, match=r"other' has no topic '/front/image/compressed' \(images of front\)"
    ):
        ordered(bag, other, *named)
    assert ordered(bag, *named)[0].sources[0].cameras == ("front", "wrist")


@pytest.mark.parametrize("place", [0, 1])
def test_one_of_several_bags_that_lacks_a_camera_is_not_opened_with_others(bag, tmp_path, place):
    cameras = ("front", "wrist", "top")
    bags = [write_bag(tmp_path / "new", sample_messages((2,), cameras=cameras))]
    bags.insert(place, bag)
    order, said, warned = ordered(*bags, "--cameras", *cameras)
    assert [source.cameras for source in order.sources] == [cameras, cameras]
    assert warned == []
    assert [line.split(":")[0] for line in said] == [str(tmp_path / "new")]
    with order.sources[1 - place].open() as opened:
        assert opened.plan(16).segments[0].frames == 2
    with pytest.raises(
        BagError, match=r"image topic of camera 'top' in bag '.*tiny'; its image topics: /front/"
    ):
        order.sources[place].open()
    with pytest.raises(BagError, match="camera 'top'"):
        ordered(bag, "--cameras", *cameras)


def test_cameras_without_regions_are_warned_of_in_one_line(bag, dataset, tmp_path):
    assert ordered(bag)[2] == []
    assert ordered(bag, "--regions", "none")[2] == []
    undefined = "NMR is undefined; give --regions, or --regions none"
    assert ordered(bag, "--regions", "front=/front/regions")[2] == [
        f"no regions of wrist in tiny: {undefined}"
    ]
    assert ordered(dataset)[2] == [f"no regions of front, wrist in set: {undefined}"]
    assert ordered(dataset, "--regions", "none")[2] == []
    bare = [
        write_bag(tmp_path / name, [each for each in sample_messages((1,)) if "regions" not in each[0]])
        for name in ("a", "b", "c")
    ]
    assert ordered(bag, *bare)[2] == [f"no regions of front, wrist in a and 2 others: {undefined}"]


def test_regions_are_opened_before_the_bags(tmp_path, capsys):
    (tmp_path / "front.json").write_text("{")
    assert main(["/absent", "--out", str(tmp_path / "out"), "--regions", f"front={tmp_path}/front.json"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot read annotations from" in line


def test_a_camera_that_is_missing_is_no_matter_of_data_sets(bag, dataset):
    _, said, _ = ordered(dataset, "--missing-camera", "hold")
    assert f"{dataset}: --missing-camera hold applies to bags only" in said
    assert not [line for line in ordered(dataset)[1] + ordered(bag)[1] if "--missing-camera" in line]


def test_a_bag_without_an_index_comes_with_advice(bag, tmp_path):
    assert not [line for line in ordered(bag)[1] if "has no index" in line]
    path = unchunked(bag, tmp_path / "plain.mcap")
    (line,) = [line for line in ordered(path)[1] if "has no index" in line]
    assert line.startswith(f"{path}: it has no index")


def unchunked(bag, path):
    """Write the messages of a bag as the storage preset "fastwrite" does."""
    with Bag(bag) as opened, path.open("wb") as file:
        writer = McapWriter(file, use_chunking=False)
        writer.start(profile="ros2")
        channels = {}
        for raw in opened.raw_messages():
            if raw.topic not in channels:
                definition, _ = TYPESTORE.generate_msgdef(raw.type_name, ros_version=2)
                schema = writer.register_schema(raw.type_name, "ros2msg", definition.encode())
                channels[raw.topic] = writer.register_channel(raw.topic, "cdr", schema)
            writer.add_message(channels[raw.topic], raw.stamp, bytes(raw.data), raw.stamp)
        writer.finish()
    return path


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/ep", "y/run.2"], ["ep", "run"]),
        (["x/ep", "y/ep"], ["ep_1", "ep_2"]),
        (["x/ep", "y/ep", "z/ep_1"], ["ep_2", "ep_3", "ep_1"]),
        (["x/ep", "y/ep", "z/ep_1", "w/ep_1"], ["ep_2", "ep_3", "ep_1_1", "ep_1_2"]),
        (["x/?"], ["_"]),
    ],
)
def test_recordings_have_different_names(paths, names):
    found = unique_names([Path("/data") / path for path in paths])
    assert found == names
    assert len(set(found)) == len(found)
