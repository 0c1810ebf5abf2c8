# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
import torch
from bag_factory import CAMERAS, NAMES, START, STEP, jpeg, sample_messages, write_bag
from message_factory import compressed, header
from safetensors.torch import save_file

from vla_iss_ros import settings
from vla_iss_ros.analysis.offline import explain_bag
from vla_iss_ros.bags.episodes import Episode
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.policies.builtin import FORMAT
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exporting import export_policy
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

EPISODES = [Episode(0, START), Episode(1, START + 2 * 10**9)]
CONFIG = PatchTransformerConfig(image_size=16, width=16, heads=2, layers=1, vocabulary=("do", "task"))


def with_texture(messages):
    """A blurred flat image is the same image, so that nothing would move the policy."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    for topic, message, stamp in messages:
        textured = compressed(jpeg(pixels), "jpeg", stamp) if "image" in topic else message
        yield topic, textured, stamp


@pytest.fixture
def checked(tmp_path):
    """Settings for a tiny random policy with a cheap baseline."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    metadata = {"format": FORMAT, "config": json.dumps(CONFIG.to_dict())}
    save_file(PatchTransformer(CONFIG).state_dict(), path, metadata)
    return settings.check(
        {
            "policy": f"builtin:{path}",
            "device": "cpu",
            "baseline": "blur",
            "samples": 32,
            "grid": 3,
            "effects": False,
            "cameras": list(CAMERAS),
            "state_names": NAMES,
        }
    )


def test_asked_for_frames_are_explained_and_reported(tmp_path, checked):
    bag = write_bag(tmp_path / "bag", with_texture(sample_messages((3, 2))))
    heard = []
    stamps = {START, START + 2 * STEP}
    frames = explain_bag(bag, checked, stamps, EPISODES, ["press", "push"], lambda: heard.append(1))
    assert [frame.stamp for frame in frames] == sorted(stamps)
    assert [frame.seconds for frame in frames] == pytest.approx([0.0, 0.2])
    assert {frame.episode for frame in frames} == {"press"}
    assert {frame.samples for frame in frames} == {32}
    assert all(0 <= frame.nmr <= 1 for frame in frames)
    assert all(0 < frame.chance < 1 for frame in frames)
    assert len(heard) == 2


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_an_exported_policy_has_the_originals_maps(tmp_path, checked, kind):
    original = load_policy(checked.policy, "cpu")
    export_policy(original, tmp_path / kind, kind)
    bag = write_bag(tmp_path / "bag", with_texture(sample_messages((1,))))
    changes = {"policy": f"exported:{tmp_path / kind}", "allow_pickle": kind == "pt2"}
    one, other = (
        explain_bag(bag, chosen, {START}, EPISODES, ["press", "push"])
        for chosen in (checked, dataclasses.replace(checked, **changes))
    )
    assert other[0].nmr == pytest.approx(one[0].nmr, abs=1e-2)
    if kind == "pt2":
        with pytest.raises(PolicyError, match="set allow_pickle"):
            explain_bag(bag, dataclasses.replace(checked, policy=changes["policy"]), {START}, EPISODES, [])


def test_frames_without_labels_have_no_nmr_and_say_why(tmp_path, checked):
    messages = [message for message in sample_messages((1,)) if "regions" not in message[0]]
    (frame,) = explain_bag(
        write_bag(tmp_path / "bag", messages), checked, {START}, EPISODES, ["press", "push"]
    )
    assert np.isnan(frame.nmr)
    assert "no regions" in frame.reason


def test_settings_of_the_input_are_heeded(tmp_path, checked, monkeypatch):
    seen = []
    explain = Explainer.explain
    monkeypatch.setattr(
        Explainer, "explain", lambda self, *given: seen.append(given[0]) or explain(self, *given)
    )
    messages = [message for message in sample_messages((1,)) if message[0] != "/instruction"]
    bag = write_bag(tmp_path / "bag", messages)
    changed = dataclasses.replace(
        checked, state_names=NAMES[::-1], state_unit="deg", instruction="do the task"
    )
    for values in (checked, changed):
        explain_bag(bag, values, {START}, EPISODES, ["press", "push"])
    plain, other = seen
    assert (plain.instruction, other.instruction) == ("", "do the task")
    assert np.allclose(other.state, np.rad2deg(plain.state[::-1]))


def test_slop_of_the_settings_is_heeded(tmp_path, checked):
    late = [
        (topic, dataclasses.replace(message, header=header(stamp + STEP // 5)), stamp)
        if topic.startswith("/wrist/image")
        else (topic, message, stamp)
        for topic, message, stamp in sample_messages((1,))
    ]
    bag = write_bag(tmp_path / "bag", late)
    for slop, count in ((0.05, 1), (0.01, 0)):
        values = dataclasses.replace(checked, sync_slop=slop)
        assert len(explain_bag(bag, values, {START}, EPISODES, ["press", "push"])) == count


def test_frame_that_cannot_be_explained_is_counted_and_left_out(tmp_path, checked, monkeypatch):
    explain = Explainer.explain

    def fail_once(self, observation, regions):
        if observation.stamp == START:
            raise ValueError("state must have 4 numbers, got 3")
        return explain(self, observation, regions)

    monkeypatch.setattr(Explainer, "explain", fail_once)
    bag = write_bag(tmp_path / "bag", with_texture(sample_messages((2,))))
    problems, heard = Counter(), []
    frames = explain_bag(
        bag, checked, {START, START + STEP}, EPISODES, ["press", "push"], lambda: heard.append(1), problems
    )
    assert [frame.stamp for frame in frames] == [START + STEP]
    assert problems == {"frame: state must have 4 numbers, got 3": 1}
    assert len(heard) == 2
