from types import SimpleNamespace

import pytest
import torch

from vla_iss_ros.ros.gpu_memory import limit_gpu_memory


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
