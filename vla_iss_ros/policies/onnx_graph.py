# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run an ONNX graph with onnxruntime, which is imported when one is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.onnx_weights import has_outside_weights

NO_MEMORY = ("allocate memory", "bad_alloc", "bad allocation", "CUDA_ERROR_OUT_OF_MEMORY")
LONGEST = 300


class OnnxGraph:
    """A session of onnxruntime; inputs and output cross the host."""

    def __init__(self, session: Any, output: str, device: torch.device) -> None:
        self._session, self._output, self._device = session, output, device
        self.inputs = tuple(entry.name for entry in session.get_inputs())

    def run(self, feeds: Mapping[str, Tensor]) -> Tensor:
        """Return the output for inputs [N, ...] by name; raises RuntimeError in one line when it fails."""
        arrays = {name: rows.contiguous().cpu().numpy() for name, rows in feeds.items()}
        try:
            (answer,) = self._session.run([self._output], arrays)
        except Exception as error:  # onnxruntime's have no class of their own in common
            reason = _reason(error)
            # In torch's words, so that the loop knows it and takes fewer rows.
            short = any(words in reason for words in NO_MEMORY)
            raise RuntimeError(f"out of memory: {reason}" if short else reason) from error
        return torch.from_numpy(answer).to(self._device)


def load_onnx(content: bytes, where: str, output: str, device: torch.device) -> OnnxGraph:
    """Load the bytes of an ONNX file; raises PolicyError without onnxruntime or for what it cannot run.

    ONNX holds no code but a graph of known operators: loading one executes nothing of its author's. A graph that
    keeps weights in other files is refused, as no hash holds those.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise PolicyError(
            f"{where} needs onnxruntime; install it with: pip install vla_iss_ros[onnx]"
        ) from error
    _refuse_outside_weights(content, where)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        session = onnxruntime.InferenceSession(content, options, providers=[_provider(onnxruntime, device)])
    except PolicyError:
        raise
    except Exception as error:
        raise PolicyError(
            f"{where} is not an ONNX graph that onnxruntime can run: {_reason(error)}"
        ) from error
    outputs = [entry.name for entry in session.get_outputs()]
    if output not in outputs:
        raise PolicyError(f"{where} has the outputs {outputs}, its manifest names '{output}'")
    fixed = [entry.name for entry in session.get_inputs() if entry.shape and isinstance(entry.shape[0], int)]
    if fixed:
        raise PolicyError(
            f"{where} has a fixed batch in input '{fixed[0]}'; export it with a dynamic first axis"
        )
    return OnnxGraph(session, output, device)


def _refuse_outside_weights(content: bytes, where: str) -> None:
    try:
        outside = has_outside_weights(content)
    except ValueError as error:
        raise PolicyError(f"{where} is not an ONNX graph: {error}") from error
    if outside:
        raise PolicyError(f"{where} keeps weights in other files; save it again with all of them inside")


def _provider(onnxruntime: Any, device: torch.device) -> Any:
    if device.type == "cpu":
        return "CPUExecutionProvider"
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise PolicyError(
            f"device '{device}' needs the package onnxruntime-gpu for ONNX graphs; install it or set device to cpu"
        )
    return ("CUDAExecutionProvider", {"device_id": device.index or 0})


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST]
