import json

import numpy as np
import pytest
import torch
from bag_factory import CAMERAS, NAMES, START, STEP, jpeg, sample_messages, write_bag
from message_factory import compressed
from safetensors.torch import save_file

from vla_iss_ros import settings
from vla_iss_ros.analysis.offline import explain_bag
from vla_iss_ros.bags.episodes import Episode
from vla_iss_ros.policies.builtin import FORMAT
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


def test_frames_without_labels_have_no_nmr_and_say_why(tmp_path, checked):
    messages = [message for message in sample_messages((1,)) if "regions" not in message[0]]
    (frame,) = explain_bag(
        write_bag(tmp_path / "bag", messages), checked, {START}, EPISODES, ["press", "push"]
    )
    assert np.isnan(frame.nmr)
    assert "no regions" in frame.reason
