# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import hashlib
from types import SimpleNamespace

import pytest
import torch
from policy_observations import observe

from vla_iss_ros.policies import exported_loading
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exported import ExportedPolicy, ExportedTokenPolicy
from vla_iss_ros.policies.exported_loading import load_exported
from vla_iss_ros.policies.manifest import (
    ActionEntry,
    Camera,
    InstructionEntry,
    Manifest,
    NoiseEntry,
)
from vla_iss_ros.policies.manifest_graphs import Graph, SegmentEntry, TokenEntry
from vla_iss_ros.policies.protocol import Policy, TokenPolicy
from vla_iss_ros.policies.resizing import Resize

CPU = torch.device("cpu")
# One step: red, green and blue of the camera plus the noise.
MANIFEST = Manifest(
    name="toy",
    graph=Graph("graph.onnx", "onnx", "0123456789abcdef" * 4, "actions"),
    cameras=(Camera("front", "image", Resize((8, 8), "letterbox", (2, 0, 4, 8), 1.0)),),
    horizon=1,
    action=ActionEntry(("r", "g", "b"), ("m", "m", "1"), (10.0, 20.0, 30.0), (1.0, 2.0, 3.0)),
    state=None,
    instruction=None,
    noise=NoiseEntry("z", (1, 3)),
)


class MeanGraph:
    inputs = ("image", "z")

    def run(self, feeds):
        self.feeds = feeds
        return feeds["image"].mean((2, 3))[:, None] + feeds["z"]


def see(**changes):
    return dataclasses.replace(observe(), **{"images": {"front": observe().images["front"][:32]}, **changes})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_share_noise_and_come_in_both_units(count):
    policy = ExportedPolicy(MANIFEST, MeanGraph(), CPU)
    assert isinstance(policy, Policy)
    base = policy.preprocess(see())
    noise = policy.sample_noise(torch.Generator().manual_seed(1))
    assert noise.shape == (1, 1, 3)
    rows = torch.full((count, 3, 8, 8), 0.25)
    actions = policy.run_pixels(base, {"front": rows}, noise)
    torch.testing.assert_close(actions.normalised, (0.25 + noise).expand(count, 1, 3))
    expected = actions.normalised * torch.tensor([1.0, 2, 3]) + torch.tensor([10.0, 20, 30])
    torch.testing.assert_close(actions.physical, expected)
    assert policy.spec.noise_shape == (1, 3)
    assert policy.spec.weights_hash == "0123456789abcdef"


def test_letterboxes_are_told_to_the_method():
    policy = ExportedPolicy(MANIFEST, MeanGraph(), CPU)
    prepared = policy.preprocess(see(state=None, instruction=""))
    assert prepared.content == {"front": (2, 0, 4, 8)}
    assert prepared.images["front"][0, :, [0, 1, 6, 7]].unique().tolist() == [1.0]
    assert prepared.inputs == {}


def test_instructions_are_needed_where_the_graph_takes_them():
    entry = InstructionEntry("w", ("button", "press"), 4)
    policy = ExportedPolicy(dataclasses.replace(MANIFEST, instruction=entry), MeanGraph(), CPU)
    assert policy.preprocess(see()).inputs["w"].tolist() == [[3, 1, 2, 0]]
    with pytest.raises(ValueError, match="instruction is empty"):
        policy.preprocess(see(instruction=""))


def test_answers_of_another_shape_are_refused():
    policy = ExportedPolicy(dataclasses.replace(MANIFEST, horizon=2), MeanGraph(), CPU)
    noise = policy.sample_noise(torch.Generator())
    with pytest.raises(
        PolicyError, match=r"answers \[1, 1, 3\] to 1 rows, its manifest promises \[1, 2, 3\]"
    ):
        policy.run_pixels(policy.preprocess(see()), {}, noise)


# Four by four patches of the camera, of which the letterbox fills two rows of two; then the words.
TOKENS = TokenEntry(
    encode=Graph("encode.onnx", "onnx", "0" * 64, "tokens"),
    act=Graph("act.onnx", "onnx", "1" * 64, "actions"),
    input="tokens",
    shape=(20, 3),
    segments=(
        SegmentEntry("camera", 0, 16, "front", (4, 4)),
        SegmentEntry("instruction", 16, 19),
        SegmentEntry("template", 19, 20),
    ),
)


class PatchGraph:
    inputs = ("image", "w")

    def run(self, feeds):
        patches = torch.nn.functional.avg_pool2d(feeds["image"], 2).flatten(2).transpose(1, 2)
        words = feeds["w"][:, :, None].expand(-1, -1, 3).float()
        return torch.cat([patches, words, torch.zeros(len(words), 1, 3)], 1)


class SumGraph:
    inputs = ("tokens", "z")

    def run(self, feeds):
        return feeds["tokens"].sum(1, keepdim=True) + feeds["z"]


def token_policy(**changes):
    entry = InstructionEntry("w", ("button", "press"), 3)
    manifest = dataclasses.replace(
        MANIFEST, graph=None, tokens=dataclasses.replace(TOKENS, **changes), instruction=entry
    )
    return ExportedTokenPolicy(manifest, PatchGraph(), SumGraph(), CPU)


def test_segments_are_laid_over_words_and_without_padding():
    policy = token_policy()
    assert isinstance(policy, TokenPolicy)
    camera, words, template = policy.encode(policy.preprocess(see(instruction="Press it"))).segments
    # Rows 2 to 6 of 8 pixels are rows 1 to 3 of 4 patches.
    assert (camera.name, camera.grid, camera.content) == ("front", (4, 4), (1.0, 0.0, 2.0, 4.0))
    assert (words.start, words.stop, words.words, words.word_of) == (16, 18, ("press", "it"), (0, 1))
    assert (template.kind, template.start, template.stop) == ("template", 19, 20)
    assert policy.spec.cameras[0].token_grid == (4, 4)
    # Words beyond max_words reach no graph.
    long = policy.encode(policy.preprocess(see(instruction="press it press it press")))
    assert long.segments[1].words == ("press", "it", "press")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tokens_and_pixels_meet_with_one_noise(count):
    policy = token_policy()
    base, noise = policy.preprocess(see()), policy.sample_noise(torch.Generator().manual_seed(1))
    encoded = policy.encode(base)
    tokens = policy.run_tokens(encoded, encoded.tokens.expand(count, -1, -1), noise)
    pixels = policy.run_pixels(base, {"front": base.images["front"].expand(count, -1, -1, -1)}, noise)
    torch.testing.assert_close(tokens.normalised, pixels.normalised)
    torch.testing.assert_close(
        tokens.normalised, (encoded.tokens.sum(1) + noise[:, 0]).expand(count, 3)[:, None]
    )


def test_tokens_of_another_shape_are_refused():
    policy = token_policy(shape=(21, 3))
    with pytest.raises(
        PolicyError, match=r"encode of policy 'toy' answers \[1, 20, 3\] .* promises \[1, 21, 3\]"
    ):
        policy.encode(policy.preprocess(see()))


def refused(directory, allow_pickle=False):
    with pytest.raises(PolicyError) as caught:
        load_exported(directory, CPU, allow_pickle)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_graphs_must_be_the_manifests(edit, onnx_copy, tmp_path, monkeypatch):
    assert "no directory" in refused(tmp_path / "absent")
    graph = onnx_copy / "graph.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + b"x")
    assert "it was changed or damaged" in refused(onnx_copy)
    graph.unlink()
    assert "has no graph 'graph.onnx'" in refused(onnx_copy)
    graph.write_bytes(content)
    monkeypatch.setitem(exported_loading.LARGEST_FILE, "onnx", 10)
    assert "more than the 10 of kind onnx" in refused(onnx_copy)


def test_files_outside_are_refused(edit, onnx_copy, tmp_path):
    (tmp_path / "outside.onnx").write_bytes((onnx_copy / "graph.onnx").read_bytes())
    edit(lambda values: values["graph"].update(file="../outside.onnx"))
    assert "graph '../outside.onnx' must lie in" in refused(onnx_copy)
    (onnx_copy / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    edit(lambda values: values["graph"].update(file="link.onnx"))
    assert "graph 'link.onnx' must lie in" in refused(onnx_copy)


def test_manifests_that_the_graph_does_not_fit(edit):
    directory = edit(lambda values: values["cameras"][0].update(input="image"))
    assert "takes the inputs ['front', 'state', 'words', 'wrist'], its manifest names ['image'," in refused(
        directory
    )
    edit(lambda values: values["cameras"][0].update(input="front"))
    edit(lambda values: values["graph"].update(output="logits"))
    assert "has the outputs ['actions'], its manifest names 'logits'" in refused(directory)
    edit(lambda values: values["graph"].update(output="actions"))
    edit(lambda values: values.update(horizon=4))
    assert "its manifest promises [3, 4, 4]" in refused(directory)
    edit(lambda values: values.update(horizon=8))
    edit(lambda values: values["cameras"][0].update(input_size=[8, 16]))
    assert "does not run on 3 rows of what its manifest says" in refused(directory)


def test_bytes_that_are_no_graph(edit, onnx_copy):
    (onnx_copy / "graph.onnx").write_bytes(b"junk")
    digest = hashlib.sha256(b"junk").hexdigest()
    edit(lambda values: values["graph"].update(sha256=digest))
    assert "is not an ONNX graph" in refused(onnx_copy)
    edit(lambda values: values["graph"].update(kind="pt2"))
    assert "set allow_pickle if you trust the file's author" in refused(onnx_copy)
    assert "is not an archive of torch.export" in refused(onnx_copy, allow_pickle=True)


def test_both_graphs_must_be_the_manifests(token_copy):
    assert isinstance(load_exported(token_copy, CPU), ExportedTokenPolicy)
    for file in ("encode.onnx", "act.onnx"):
        content = (token_copy / file).read_bytes()
        (token_copy / file).write_bytes(content[:-1] + b"x")
        assert f"{file}' has sha256" in refused(token_copy)
        (token_copy / file).unlink()
        assert f"has no graph '{file}'" in refused(token_copy)
        (token_copy / file).write_bytes(content)
    load_exported(token_copy, CPU)


def swap(values):
    values["graphs"]["encode"], values["graphs"]["act"] = values["graphs"]["act"], values["graphs"]["encode"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap, "graph encode 'act.onnx' takes the inputs ['state', 'tokens', 'words'], its manifest names ["),
        (lambda values: values["tokens"].update(input="prefix"), "graph act 'act.onnx' takes the inputs"),
        (lambda values: values["cameras"][0].update(input="image"), "graph encode 'encode.onnx' takes"),
        (lambda values: values.update(state=None), "graph act 'act.onnx' takes the inputs"),
        (lambda values: values.update(noise={"input": "z", "shape": [4]}), "names ['tokens', 'z']"),
        (
            lambda values: values["tokens"].update(shape=[20, 8]),
            "answers [3, 20, 16] to 3 rows, its manifest",
        ),
        (lambda values: values["tokens"].update(shape=[24, 16]), "correct tokens.shape"),
        (lambda values: values["graphs"]["act"].update(output="logits"), "its manifest names 'logits'"),
        (lambda values: values["graphs"]["act"].update(file="/etc/passwd"), "must lie in"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(edit_token, change, message):
    assert message in refused(edit_token(change))


def test_a_camera_whose_content_shows_no_token_is_refused(edit_token):
    def change(values):
        values["cameras"][0].update(resize="letterbox", content=[0, 0, 3, 16], pad=0.5)

    assert "no token of camera 'front' lies in its content" in refused(edit_token(change))


def test_an_input_that_neither_graph_takes_is_refused(edit_token, monkeypatch):
    def change(values):
        values["state"]["input"] = "joints"

    directory = edit_token(change)
    graphs = {"encode.onnx": ("front", "wrist", "words"), "act.onnx": ("tokens",)}
    monkeypatch.setattr(
        exported_loading, "_load_graph", lambda _, graph, *__: SimpleNamespace(inputs=graphs[graph.file])
    )
    assert "neither graph of policy 'tiny' takes 'joints'" in refused(directory)
