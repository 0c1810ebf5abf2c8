# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The way between the host and the device that the policy runs on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor


class Lane(Protocol):
    """Moves tensors and takes times; work under ``entered`` may still run when calls return.

    ``on_host``: whether the policy computes in the host's memory, where another thread can prepare its next inputs.
    """

    on_host: bool

    def entered(self) -> Any:
        """Return a context in which work goes down this lane."""

    def to_device(self, tensor: Tensor) -> Tensor:
        """Start to copy a tensor of the host."""

    def to_host(self, *tensors: Tensor) -> list[Tensor]:
        """Return copies on the host, after all that was started before."""

    def mark(self) -> Any:
        """Mark this place in the work."""

    def seconds(self, since: Any, until: Any) -> float:
        """Return the time between two marks that ``to_host`` has waited for."""

    def release(self) -> None:
        """Give unused memory back."""


class PlainLane:
    """Copies that are done when the call returns: a policy on the CPU, or on a device without streams."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.on_host = device.type == "cpu"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Change nothing."""
        yield

    def to_device(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself when it is there already."""
        return tensor.to(self._device)

    def to_host(self, *tensors: Tensor) -> list[Tensor]:
        """Return the tensors themselves when they are there already."""
        return [tensor.cpu() for tensor in tensors]

    def mark(self) -> float:
        """Return the time of a clock."""
        return time.perf_counter()

    def seconds(self, since: float, until: float) -> float:
        """Return the difference."""
        return until - since

    def release(self) -> None:
        """Do nothing: freed memory is the system's at once."""


class CudaLane:
    """A CUDA stream of its own, copies through pinned memory, times by events on the device."""

    on_host = False

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # One for all frames: the allocator keeps the memory of every stream apart.
        self._stream = torch.cuda.Stream(device)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Start after what the current stream has been given, such as the preprocessing of the frame."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield

    def to_device(self, tensor: Tensor) -> Tensor:
        """Copy from pinned memory without waiting."""
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def to_host(self, *tensors: Tensor) -> list[Tensor]:
        """Copy all into pinned memory and wait once."""
        copies = [torch.empty_like(tensor, device="cpu", pin_memory=True) for tensor in tensors]
        for copy, tensor in zip(copies, tensors, strict=True):
            copy.copy_(tensor, non_blocking=True)
        self._stream.synchronize()
        return copies

    def mark(self) -> Any:
        """Return an event on the stream."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(self._stream)
        return event

    def seconds(self, since: Any, until: Any) -> float:
        """Return the device's own time, which is given in milliseconds."""
        return float(since.elapsed_time(until)) / 1000

    def release(self) -> None:
        """Empty the allocator's cache, whose blocks fit the larger batches."""
        torch.cuda.empty_cache()


def lane_to(device: torch.device) -> Lane:
    """Return the lane to ``device``."""
    return CudaLane(device) if device.type == "cuda" else PlainLane(device)


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in ``precision`` (float32, tf32 or bfloat16) inside the context; torch's flags are restored after it."""
    if precision == "bfloat16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    elif precision == "tf32":
        with _tensor_float_32():
            yield
    else:
        yield


@contextmanager
def _tensor_float_32() -> Iterator[None]:
    switches: Sequence[Any] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = True
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def refuse_precision(precision: str, device: torch.device) -> None:
    """Raise ValueError when ``device`` does not know ``precision``."""
    if precision == "tf32" and device.type != "cuda":
        raise ValueError(
            f"precision tf32 needs a CUDA device and the policy is on {device}; set precision to float32 or bfloat16"
        )
