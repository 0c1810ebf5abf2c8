# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch

from vla_iss_ros.ros.gpu_memory import gpu_memory_values, limit_gpu_memory


class FakeCuda:
    """Notes what share every GPU has."""

    def __init__(self, current=0):
        self.shares, self._current = {}, current

    def current_device(self):
        return self._current

    def set_per_process_memory_fraction(self, fraction, device):
        assert isinstance(device, int)  # torch.cuda takes no device without an index
        self.shares[device] = fraction


@pytest.fixture(autouse=True)
def _without_limit():
    yield
    limit_gpu_memory(0.0, torch.device("cpu"), FakeCuda())


def test_the_share_is_handed_to_the_allocator_of_that_device():
    cuda = FakeCuda()
    limit_gpu_memory(0.0, torch.device("cuda:1"), cuda)
    assert cuda.shares == {}
    limit_gpu_memory(0.25, torch.device("cuda:1"), cuda)
    assert cuda.shares == {1: 0.25}


def test_a_device_without_an_index_is_the_present_one():
    cuda = FakeCuda(current=2)
    limit_gpu_memory(0.5, torch.device("cuda"), cuda)
    assert cuda.shares == {2: 0.5}


@pytest.mark.parametrize("device", ["cuda:1", "cuda:0", "cpu"])
def test_no_share_lifts_an_earlier_one_and_only_once(device):
    cuda = FakeCuda()
    limit_gpu_memory(0.25, torch.device("cuda:1"), cuda)
    limit_gpu_memory(0.0, torch.device(device), cuda)
    assert cuda.shares == {1: 1.0}
    cuda.shares.clear()
    limit_gpu_memory(0.0, torch.device(device), cuda)
    assert cuda.shares == {}


def test_a_share_of_another_gpu_takes_the_place_of_an_earlier_one():
    cuda = FakeCuda()
    limit_gpu_memory(0.25, torch.device("cuda:1"), cuda)
    limit_gpu_memory(0.5, torch.device("cuda:0"), cuda)
    assert cuda.shares == {0: 0.5, 1: 1.0}


def test_a_share_of_no_gpu_is_refused():
    limit_gpu_memory(0.0, torch.device("cpu"))
    with pytest.raises(
        ValueError, match=r"gpu_memory_fraction 0.5 needs a CUDA device and the policy is on cpu"
    ):
        limit_gpu_memory(0.5, torch.device("cpu"))


def test_memory_is_told_in_mib_and_only_of_a_gpu():
    cuda = SimpleNamespace(
        mem_get_info=lambda device: (3 * 2**30, 8 * 2**30),
        memory_allocated=lambda device: 512 * 2**20,
        max_memory_allocated=lambda device: 640 * 2**20,
        memory_reserved=lambda device: 700 * 2**20,
    )
    values = gpu_memory_values(torch.device("cuda:0"), cuda)
    assert list(values.values()) == [512, 640, 700, 3072, 8192]
    assert gpu_memory_values(torch.device("cpu"), cuda) == {}
