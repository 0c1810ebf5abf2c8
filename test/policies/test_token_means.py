# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from policy_observations import observe
from safetensors.torch import load_file, save_file

from vla_iss_ros import settings
from vla_iss_ros.iss.token_means import gather_means
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy, shipped_samples
from vla_iss_ros.policies.recorded import Recorded
from vla_iss_ros.policies.token_means import beside, load_means, save_means


@pytest.fixture(scope="module")
def policy():
    return load_policy("builtin", "cpu")


@pytest.fixture
def saved(policy, tmp_path):
    means = gather_means([policy.encode(policy.preprocess(observe()))])
    path = tmp_path / "means.safetensors"
    save_means(means, policy, path)
    return means, path


def test_what_is_written_is_read(policy, saved):
    means, path = saved
    read = load_means(path, policy)
    assert read.frames == 1
    assert dict(read.counts) == dict(means.counts)
    torch.testing.assert_close(read.cameras["front"], means.cameras["front"])
    torch.testing.assert_close(read.instruction, means.instruction)
    assert list(path.parent.iterdir()) == [path]


def test_the_place_beside_a_policy(tmp_path):
    assert beside("builtin:/a/clean.safetensors").name == "clean.means.safetensors"
    assert beside(f"exported:{tmp_path}") == tmp_path / "token_means.safetensors"
    assert beside("builtin") == shipped_samples() / "policies" / "clean.means.safetensors"
    assert beside("openpi") is None
    assert beside("openpi:127.0.0.1:8000?preset=droid") is None
    assert beside(f"openvla:{tmp_path}?unnorm_key=bridge_orig") == tmp_path / "token_means.safetensors"


@pytest.mark.parametrize("name", ["clean", "shortcut"])
def test_the_shipped_policies_have_their_means(name):
    chosen = f"builtin:{shipped_samples() / 'policies' / name}.safetensors"
    checked = settings.check({"policy": chosen, "space": "token"})
    recorded = Recorded.of(load_policy(chosen, "cpu"), checked)
    assert recorded.means is not None
    assert recorded.means.frames > 50


def test_means_of_other_weights_are_refused(saved, policy):
    other = load_policy(f"builtin:{shipped_samples() / 'policies' / 'shortcut.safetensors'}", "cpu")
    with pytest.raises(PolicyError, match="run compute_means with this policy"):
        load_means(saved[1], other)


def test_a_missing_file_names_the_tool(policy, tmp_path):
    with pytest.raises(PolicyError, match="make them with compute_means"):
        load_means(tmp_path / "none.safetensors", policy)


def test_damage_is_named(policy, saved, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"no")
    with pytest.raises(PolicyError, match="not a readable safetensors file"):
        load_means(path, policy)
    tensors = load_file(saved[1])
    metadata = {
        "format": "vla_iss_ros.token_means/1",
        "weights_hash": policy.spec.weights_hash,
        "frames": "1",
        "counts": "{}",
    }
    save_file({**tensors, "instruction": torch.full((128,), torch.nan)}, path, metadata)
    with pytest.raises(PolicyError, match=r"'instruction' in .* must be"):
        load_means(path, policy)
    save_file({"instruction": tensors["instruction"]}, path, metadata)
    with pytest.raises(PolicyError, match="no mean embedding of camera 'front'"):
        load_means(path, policy)
    save_file(tensors, path, {**metadata, "counts": "[]"})
    with pytest.raises(PolicyError, match="does not say what it was gathered from"):
        load_means(path, policy)
    save_file(tensors, path, {"format": "other"})
    with pytest.raises(PolicyError, match="has format 'other'"):
        load_means(path, policy)
