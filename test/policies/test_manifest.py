# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from vla_iss_ros.policies import manifest as module
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.manifest import read_manifest


def camera(**changes):
    return lambda values: values["cameras"][0].update(changes)


def letterbox(content, pad=0.5):
    return camera(resize="letterbox", content=content, pad=pad)


def entry(name, **changes):
    return lambda values: values[name].update(changes)


def test_everything_is_read(exports):
    read = read_manifest(exports / "onnx")
    assert read.name == "tiny"
    assert [(one.name, one.input, one.resize.size) for one in read.cameras] == [
        ("front", "front", (16, 16)),
        ("wrist", "wrist", (16, 16)),
    ]
    assert (read.horizon, read.action.mean, read.action.std) == (8, (1, 2, 3, 4), (0.5, 1, 2, 4))
    assert read.instruction.vocabulary == ("press", "the", "button")
    assert (read.instruction.max_words, read.noise) == (12, None)
    assert read.inputs == ("front", "wrist", "state", "words")


def test_optional_entries(edit):
    def change(values):
        values.update(state=None, instruction=None, noise={"input": "z", "shape": [8, 32]})
        letterbox([2, 0, 12, 16])(values)

    read = read_manifest(edit(change))
    assert (read.state, read.instruction, read.noise.shape) == (None, None, (8, 32))
    assert read.inputs == ("front", "wrist", "z")
    assert (read.cameras[0].resize.content, read.cameras[0].resize.pad) == ((2, 0, 12, 16), 0.5)
    assert read_manifest(edit(lambda values: values.update(state=None))).state is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("horizon"), "lacks horizon"),
        (lambda values: values.pop("noise"), "lacks noise"),
        (lambda values: values["graph"].pop("sha256"), r"lacks graph\.sha256"),
        (
            lambda values: values.update(format="vla_iss_ros.exported/3"),
            "has format 'vla_iss_ros.exported/3'",
        ),
        (lambda values: values.update(extra=1), "extra is unknown"),
        (camera(mean=[0, 0, 0]), r"cameras\[0\]\.mean is unknown"),
        (camera(input_size=[16]), r"cameras\[0\]\.input_size must be a list of 2 whole numbers, got \[16\]"),
        (camera(resize="nearest"), "resize must be one of area, bilinear, letterbox, got 'nearest'"),
        (camera(resize="letterbox"), r"lacks cameras\[0\]\.content"),
        (letterbox([8, 0, 12, 16]), r"content must be a box within \[16, 16\], got \[8, 0, 12, 16\]"),
        (letterbox([0, 0, 0, 16]), "content must be a box"),
        (letterbox([0, 0, 16, 16], "black"), "pad must be a finite number, got 'black'"),
        (camera(name="wrist"), r"each camera and each input once, got \['wrist', 'wrist'\]"),
        (camera(input="state"), "each input once"),
        (entry("action", std=[1, 1, 1]), r"action\.std must be a list of 4 numbers, got \[1, 1, 1\]"),
        (entry("action", std=[1, 1, 1, 0]), r"action\.std must be numbers above 0"),
        (entry("action", units=["cm"]), r"action\.units must be a list of 4 strings"),
        (entry("state", mean=[0.0]), r"state\.mean must be a list of 4 numbers"),
        (entry("instruction", max_words=0), r"instruction\.max_words must be a whole number"),
        (entry("graph", kind="torchscript"), r"graph\.kind must be one of onnx, pt2, got 'torchscript'"),
        (entry("graph", batch=1), r"graph\.batch must be one of dynamic, got 1"),
    ],
)
def test_faults_are_named_in_one_line(edit, change, message):
    directory = edit(change)
    with pytest.raises(PolicyError, match=message) as caught:
        read_manifest(directory)
    assert "manifest.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_graphs_and_the_tokens_between_them_are_read(exports):
    read = read_manifest(exports / "onnx_token")
    assert read.graph is None
    assert [graph.file for graph in read.graphs] == ["encode.onnx", "act.onnx"]
    assert (read.tokens.input, read.tokens.shape) == ("tokens", (20, 16))
    assert [(one.kind, one.name, one.start, one.stop, one.grid) for one in read.tokens.segments] == [
        ("instruction", "", 0, 12, None),
        ("camera", "front", 12, 16, (2, 2)),
        ("camera", "wrist", 16, 20, (2, 2)),
    ]
    assert read.weights_hash not in [graph.sha256[:16] for graph in read.graphs]
    assert len(read.weights_hash) == 16


def tokens(**changes):
    return lambda values: values["tokens"].update(changes)


def segment(index, **changes):
    return lambda values: values["tokens"]["segments"][index].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("graphs"), "lacks graphs"),
        (lambda values: values["graphs"].pop("act"), r"lacks graphs\.act"),
        (lambda values: values["graphs"].update(decode={}), r"graphs\.decode is unknown"),
        (lambda values: values["graphs"]["encode"].update(batch=3), r"graphs\.encode\.batch must be one of"),
        (lambda values: values.update(graph={}), "graph is unknown"),
        (lambda values: values.update(format="vla_iss_ros.exported/1"), "lacks graph"),
        (lambda values: values.pop("tokens"), "lacks tokens"),
        (tokens(shape=[20]), r"tokens\.shape must be a list of 2 whole numbers, got \[20\]"),
        (tokens(shape=[20, 1e9]), r"tokens\.shape must be a whole number"),
        (tokens(input="words"), "each input once"),
        (tokens(segments=[]), r"tokens\.segments must be a list of one or more objects"),
        (tokens(segments=[{"kind": "instruction", "start": 0}]), "at least one camera, got"),
        (segment(1, kind="lidar"), r"segments\[1\]\.kind must be one of camera, instruction, .* got 'lidar'"),
        (segment(1, name="top"), r"segments\[1\]\.name must be one of front, wrist, got 'top'"),
        (segment(1, grid=[4, 4]), "its 16 tokens lie within the 20 of tokens.shape and apart from others"),
        (segment(2, start=15), r"segments\[2\]\.start must be so that its 4 tokens lie .* got 15"),
        (segment(2, start=17), "within the 20"),
        (segment(0, start=-1), "start must be a whole number from 0"),
        (segment(2, name="front"), "a camera or the instruction once, got 'camera front'"),
        (segment(1, count=4), r"segments\[1\]\.count is unknown"),
        (segment(0, kind="state"), r"lacks tokens\.segments\[0\]\.count"),
        (lambda values: values.update(instruction=None), "instruction is null, got 'instruction'"),
    ],
)
def test_faults_of_two_graphs_are_named_in_one_line(edit_token, change, message):
    with pytest.raises(PolicyError, match=message) as caught:
        read_manifest(edit_token(change))
    assert "\n" not in str(caught.value)


def test_unreadable_files(onnx_copy, tmp_path, monkeypatch):
    with pytest.raises(PolicyError, match=r"no readable manifest.json in .*; write one with export_policy"):
        read_manifest(tmp_path)
    path = onnx_copy / "manifest.json"
    for content in (b"{not json", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match="is not JSON"):
            read_manifest(onnx_copy)
    path.write_text(json.dumps([1]))
    with pytest.raises(PolicyError, match=r"the whole must be an object, got \[1\]"):
        read_manifest(onnx_copy)
    monkeypatch.setattr(module, "LARGEST_MANIFEST", 2)
    with pytest.raises(PolicyError, match="has 3 bytes, more than 2"):
        read_manifest(onnx_copy)
