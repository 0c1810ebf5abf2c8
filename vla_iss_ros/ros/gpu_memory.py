# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The share of a GPU's memory that this process may take."""

from __future__ import annotations

from typing import Any

import torch

# Indices of GPUs with a limit: the allocator keeps it for the life of the process, beyond the policy it was set for.
_limited: set[int] = set()


def limit_gpu_memory(fraction: float, device: torch.device, cuda: Any = torch.cuda) -> None:
    """Let torch's allocator take at most ``fraction`` of the memory of ``device``; 0 is without limit.

    An earlier limit goes, of whatever GPU. What exceeds it fails as if the GPU were full, which halves the batch.
    CUDA's own context (some hundred MB) is not in it. Raises ValueError for a device without such a limit.
    """
    if fraction and device.type != "cuda":
        raise ValueError(
            f"gpu_memory_fraction {fraction:g} needs a CUDA device and the policy is on {device}; set it to 0"
        )
    while _limited:
        cuda.set_per_process_memory_fraction(1.0, _limited.pop())
    if fraction:
        # A device without its index is refused.
        index = cuda.current_device() if device.index is None else device.index
        cuda.set_per_process_memory_fraction(fraction, index)
        _limited.add(index)


def gpu_memory_values(device: torch.device, cuda: Any = torch.cuda) -> dict[str, float]:
    """Return the memory of a CUDA ``device`` in MiB, for diagnostics; nothing for another device."""
    if device.type != "cuda":
        return {}
    free, total = cuda.mem_get_info(device)
    return {
        "GPU memory of this policy (MiB)": cuda.memory_allocated(device) / 2**20,
        "GPU memory of this policy at most (MiB)": cuda.max_memory_allocated(device) / 2**20,
        "GPU memory reserved by this process (MiB)": cuda.memory_reserved(device) / 2**20,
        "GPU memory free (MiB)": free / 2**20,
        "GPU memory in all (MiB)": total / 2**20,
    }
