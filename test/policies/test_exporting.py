# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import sys

import pytest
import torch
from policy_observations import observe

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.policies import exporting
from vla_iss_ros.policies.builtin import load_builtin
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exporting import export_policy
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import TokenPolicy

KINDS = ["onnx", "pt2", "onnx_token", "pt2_token"]
TOKEN_KINDS = KINDS[2:]


def pair(exports, kind):
    copy = load_policy(f"exported:{exports / kind}", "cpu", Permissions(pickle=kind.startswith("pt2")))
    return load_policy(f"builtin:{exports / 'tiny.safetensors'}", "cpu"), copy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 33])
def test_both_answer_alike(exports, kind, count):
    original, copy = pair(exports, kind)
    front = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(count))
    one, other = (
        policy.run_pixels(policy.preprocess(observe()), {"front": front}, None) for policy in (original, copy)
    )
    assert one.normalised.abs().max() > 0.01
    torch.testing.assert_close(other.normalised, one.normalised, atol=1e-5, rtol=0)
    torch.testing.assert_close(other.physical, one.physical, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", TOKEN_KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 33])
def test_both_answer_alike_to_tokens(exports, kind, count):
    original, copy = pair(exports, kind)
    assert isinstance(copy, TokenPolicy)
    one, other = (policy.encode(policy.preprocess(observe())) for policy in (original, copy))
    torch.testing.assert_close(other.tokens, one.tokens, atol=1e-5, rtol=0)
    assert other.segments == one.segments
    shift = torch.randn(count, *one.tokens.shape[1:], generator=torch.Generator().manual_seed(count))
    shifted = one.tokens + shift * one.tokens.std()
    answers = [
        policy.run_tokens(encoded, shifted, None).normalised
        for policy, encoded in ((original, one), (copy, other))
    ]
    assert (
        answers[0] - original.run_pixels(original.preprocess(observe()), {}, None).normalised
    ).abs().max() > 0.01
    torch.testing.assert_close(answers[1], answers[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", TOKEN_KINDS)
def test_both_have_one_map_of_tokens(exports, kind):
    donors = [observe(seed, instruction=text) for seed, text in ((1, "press"), (2, "the button"))]
    chosen = settings.check(
        {"space": "token", "samples": 32, "block_size": 16, "token_block": 1, "estimator": "spatial"}
    )
    one, other = (Explainer(policy, chosen, donors).explain(observe()) for policy in pair(exports, kind))
    assert [word.word for word in other.words] == ["press", "the", "button"]
    scale = float(one.estimate.contrast.abs().max())
    torch.testing.assert_close(other.estimate.contrast, one.estimate.contrast, atol=1e-3 * scale, rtol=0)
    for mine, yours in zip(one.effects, other.effects, strict=True):
        assert yours.delta == pytest.approx(mine.delta, rel=1e-3)


@pytest.mark.parametrize("kind", TOKEN_KINDS)
def test_the_vision_tower_runs_once_a_frame(exports, kind, monkeypatch):
    _, copy = pair(exports, kind)
    donors = [observe(seed, instruction=text) for seed, text in ((1, "press"), (2, "the button"))]
    chosen = settings.check({"space": "token", "samples": 32, "batch_size": 8, "effects": False})
    explainer = Explainer(copy, chosen, donors)
    rows = {"encode": [], "act": []}
    for name, graph in (("encode", copy._encoder), ("act", copy._graph)):
        run = graph.run

        def counted(feeds, name=name, run=run):
            answer = run(feeds)
            rows[name].append(len(answer))
            return answer

        monkeypatch.setattr(graph, "run", counted)
    explainer.explain(observe())
    assert rows["encode"] == [1]
    assert sum(rows["act"]) > 32


@pytest.mark.parametrize("kind", KINDS)
def test_both_have_one_map(exports, kind):
    donors = [observe(seed, instruction=text) for seed, text in ((1, "press"), (2, "the button"))]
    chosen = settings.check({"samples": 32, "block_size": 16, "estimator": "spatial"})
    one, other = (Explainer(policy, chosen, donors).explain(observe()) for policy in pair(exports, kind))
    scale = float(one.estimate.contrast.abs().max())
    torch.testing.assert_close(other.estimate.contrast, one.estimate.contrast, atol=1e-3 * scale, rtol=0)
    for mine, yours in zip(one.effects, other.effects, strict=True):
        assert yours.delta == pytest.approx(mine.delta, rel=1e-3)


def test_specifications_agree_but_for_the_hash(exports):
    original, copy = (policy.spec for policy in pair(exports, "onnx"))
    for name in (
        "name",
        "camera_names",
        "horizon",
        "action_names",
        "action_units",
        "state_names",
        "state_mean",
    ):
        assert getattr(copy, name) == getattr(original, name)
    assert [camera.input_size for camera in copy.cameras] == [(16, 16), (16, 16)]
    assert len(copy.weights_hash) == 16
    assert [camera.token_grid for camera in copy.cameras] == [None, None]
    _, both = pair(exports, "onnx_token")
    assert both.spec.cameras == original.cameras


def test_what_exists_is_kept(exports, tmp_path):
    policy = load_builtin(exports / "tiny.safetensors", torch.device("cpu"))
    (tmp_path / "there").mkdir()
    with pytest.raises(PolicyError, match="there' exists already; choose another directory"):
        export_policy(policy, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_failures_leave_nothing_behind(exports, tmp_path, monkeypatch):
    original, copy = pair(exports, "onnx")
    out = tmp_path / "out"
    with pytest.raises(
        PolicyError, match="only policies of type builtin can be exported, got ExportedPolicy"
    ):
        export_policy(copy, out)
    with pytest.raises(PolicyError, match="kind must be onnx or pt2, got 'jit'"):
        export_policy(original, out, "jit")
    with pytest.raises(PolicyError, match="space must be one of token, pixel, got 'knock_out'"):
        export_policy(original, out, "onnx", "knock_out")
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(PolicyError, match=r"differs by .* from the original"):
        export_policy(original, out, "pt2")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(PolicyError, match=r"pip install vla_iss_ros\[export\]"):
        export_policy(original, out)
    (tmp_path / "file").write_text("")
    with pytest.raises(PolicyError, match=r"cannot write .*Not a directory"):
        export_policy(original, tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
