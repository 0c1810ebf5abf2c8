from types import SimpleNamespace

import pytest
import torch

from vla_iss_ros.ros.gpu_memory import gpu_memory_values, limit_gpu_memory


def test_the_share_is_handed_to_the_allocator_of_that_device():
    calls = []
    cuda = SimpleNamespace(set_per_process_memory_fraction=lambda *given: calls.append(given))
    limit_gpu_memory(0.25, torch.device("cuda:1"), cuda)
    assert calls == [(0.25, torch.device("cuda:1"))]
    limit_gpu_memory(0.0, torch.device("cuda:1"), cuda)
    assert len(calls) == 1


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
