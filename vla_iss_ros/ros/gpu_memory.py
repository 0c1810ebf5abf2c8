"""The share of a GPU's memory that this process may take."""

from __future__ import annotations

from typing import Any

import torch


def limit_gpu_memory(fraction: float, device: torch.device, cuda: Any = torch.cuda) -> None:
    """Let torch's allocator take at most ``fraction`` of the memory of ``device``; 0 changes nothing.

    What exceeds it fails as if the GPU were full, which halves the batch. CUDA's own context (some hundred MB) is not
    in it. Raises ValueError for a device without such a limit.
    """
    if fraction == 0:
        return
    if device.type != "cuda":
        raise ValueError(
            f"gpu_memory_fraction {fraction:g} needs a CUDA device and the policy is on {device}; set it to 0"
        )
    cuda.set_per_process_memory_fraction(fraction, device)
