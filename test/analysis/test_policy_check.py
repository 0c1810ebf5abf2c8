# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
from itertools import count

import pytest
import torch
from checked_policy import CheckedPolicy, see

from vla_iss_ros.analysis.policy_check import CHECKS, check_policy
from vla_iss_ros.iss.observation import Actions, Prepared
from vla_iss_ros.policies.exported import ExportedPolicy
from vla_iss_ros.policies.manifest import ActionEntry, Camera, Manifest, NoiseEntry
from vla_iss_ros.policies.manifest_graphs import Graph
from vla_iss_ros.policies.resizing import Resize

FRAMES = [see(seed) for seed in range(3)]


def found(policy, observations=FRAMES, **options):
    """Return the checks by name, with a clock that ticks once a look and so finds batches cheap."""
    ticks = count()
    checks = check_policy(policy, observations, clock=lambda: next(ticks), **options)
    assert [check.name for check in checks] == [name for name, _ in CHECKS]
    return {check.name: check for check in checks}


def failed(policy):
    return {name for name, check in found(policy).items() if check.status == "FAIL"}


@pytest.mark.parametrize("frames", [FRAMES, FRAMES[:1]])
def test_a_sound_policy_passes_everything(frames):
    checks = found(CheckedPolicy(), frames)
    tokens = {"tokens", "token alignment"}
    assert {name for name, check in checks.items() if check.status != "pass"} == tokens
    assert {checks[name].status for name in tokens} == {"skip"}
    assert {check.remedy for check in checks.values()} == {""}
    assert checks["batch invariance"].values["difference"] < 1e-6


def test_an_exported_policy_is_checked_like_any_other():
    class MeanGraph:
        inputs = ("image", "z")

        def run(self, feeds):
            return feeds["image"].mean((2, 3))[:, None] + feeds["z"]

    resize = Resize((64, 64), "letterbox", (8, 0, 48, 64), 0.5)
    manifest = Manifest(
        name="means",
        graph=Graph("graph.onnx", "onnx", "0" * 64, "actions"),
        cameras=(Camera("front", "image", resize),),
        horizon=1,
        action=ActionEntry(("r", "g", "b"), ("1",) * 3, (0.0,) * 3, (1.0,) * 3),
        state=None,
        instruction=None,
        noise=NoiseEntry("z", (1, 3)),
    )
    checks = found(ExportedPolicy(manifest, MeanGraph(), torch.device("cpu")))
    skipped = {"absent cameras", "tokens", "token alignment"}
    assert {name for name, check in checks.items() if check.status != "pass"} == skipped
    assert {checks[name].status for name in skipped} == {"skip"}


class DrawsByItself(CheckedPolicy):
    calls = 0

    def act(self, views, base, noise):
        self.calls += 1
        return super().act(views, base, noise) + self.calls


class CountsItsBatch(CheckedPolicy):
    def act(self, views, base, noise):
        return super().act(views, base, noise) + 0.01 * len(views)


class SharesStatistics(CheckedPolicy):
    def act(self, views, base, noise):
        answer = super().act(views, base, noise)
        return answer - 0.1 * answer.mean(0) if len(answer) > 1 else answer * 0.9


class NoiseForEachRow(CheckedPolicy):
    def act(self, views, base, noise):
        generator = torch.Generator().manual_seed(int(noise[0, 0, 0] * 1e4))
        return super().act(views, base, torch.randn(64, 2, 3, generator=generator)[: len(views)])


class ForgetsAbsentCameras(CheckedPolicy):
    def run_pixels(self, base, images, noise):
        if 0 < len(images) < 2:
            base = Prepared({name: 0 * image for name, image in base.images.items()}, base.inputs)
        return super().run_pixels(base, images, noise)


class IgnoresNoise(CheckedPolicy):
    def act(self, views, base, noise):
        return super().act(views, base, 0 * noise)


class IgnoresImages(CheckedPolicy):
    def run_pixels(self, base, images, noise):
        rows = {name: base.images[name].expand(len(given), -1, -1, -1) for name, given in images.items()}
        return super().run_pixels(base, rows, noise)


class NotFinite(CheckedPolicy):
    def act(self, views, base, noise):
        return super().act(views, base, noise) / 0


class Constant(CheckedPolicy):
    def act(self, views, base, noise):
        return 0.3 * noise.expand(len(views), -1, -1)


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        # It answers its own image otherwise at every call, so whatever compares two calls fails.
        (
            DrawsByItself,
            {
                "determinism",
                "row 0 identity",
                "batch invariance",
                "absent cameras",
                "shared noise",
                "polarity",
            },
        ),
        (CountsItsBatch, {"row 0 identity", "batch invariance"}),
        (SharesStatistics, {"row 0 identity", "batch invariance"}),
        (NoiseForEachRow, {"identical rows"}),
        (ForgetsAbsentCameras, {"absent cameras"}),
        (IgnoresNoise, {"shared noise"}),
        (IgnoresImages, {"polarity"}),
        (Constant, {"sensitivity"}),
    ],
)
def test_each_fault_is_found_and_nothing_else(broken, names):
    assert failed(broken()) == names


def test_answers_that_are_not_finite_fail_whatever_compares_them():
    assert failed(NotFinite()) >= {
        "finite actions",
        "determinism",
        "row 0 identity",
        "identical rows",
        "batch invariance",
        "absent cameras",
        "shared noise",
        "polarity",
        "sensitivity",
    }


def test_an_error_within_is_a_failure_and_the_rest_goes_on():
    class Small(CheckedPolicy):
        def act(self, views, base, noise):
            if len(views) > 3:
                raise TypeError("three rows\nat most")
            return super().act(views, base, noise)

    checks = found(Small())
    assert checks["time"].status == "FAIL"
    assert checks["time"].figure == "TypeError: three rows at most"
    assert checks["finite actions"].status == "pass"


def test_no_memory_is_no_fault_of_the_policy():
    class Large(CheckedPolicy):
        def act(self, views, base, noise):
            if len(views) > 33:
                raise RuntimeError("CUDA out of memory")
            return super().act(views, base, noise)

    checks = found(Large())
    assert (checks["time"].status, checks["time"].remedy) == ("skip", "set batch_size to what fits in memory")
    assert failed(Large()) == set()


def test_one_answer_a_row():
    class Single(CheckedPolicy):
        def run_pixels(self, base, images, noise):
            answer = super().run_pixels(base, images, noise)
            return Actions(answer.normalised[:1], answer.physical[:1])

    assert "1 answers to 8 rows; return one a row" in found(Single())["row 0 identity"].figure


def test_the_tolerance_is_the_callers():
    checks = found(CountsItsBatch(), tolerance=0.5)
    assert checks["batch invariance"].status == "pass"
    # 0.01 a row, and batches of 1 and 33 rows.
    assert checks["batch invariance"].values["difference"] == pytest.approx(0.32, abs=1e-5)
    assert "(tolerance 5e-01)" in checks["batch invariance"].figure


def test_what_cannot_be_checked_is_named():
    with pytest.raises(ValueError, match="at least one observation, got none"):
        check_policy(CheckedPolicy(), [])
    with pytest.raises(ValueError, match=r"tolerance must be above 0, got 0\.0"):
        check_policy(CheckedPolicy(), FRAMES, 0.0)


def test_values_are_plain_numbers():
    for check in found(CheckedPolicy()).values():
        assert json.loads(json.dumps(dict(check.values))) == check.values
