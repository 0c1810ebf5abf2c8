# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run a graph of torch.export (``.pt2``).

Loading one is not safe with a file of unknown origin, so the user must allow it by name. torch.export.load (torch 2.13)
unpickles without ``weights_only`` whatever the archive declares as pickled weights or constants, falls back to that for
the rest, and evaluates the archive's shape expressions as Python (sympy). Nothing outside of torch can take that away;
its own documentation says never to load data from an untrusted source. Compiled code and custom objects inside the
archive are refused in any case: a policy needs neither.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.policies.errors import PolicyError

REFUSED = ("aotinductor", "custom_obj_", "opaque_obj_", "executorch", ".so", ".cubin")
LONGEST = 300


class Pt2Graph:
    """A program of torch.export on the policy's device."""

    def __init__(self, program: Any, device: torch.device) -> None:
        self.inputs = tuple(program.graph_signature.user_inputs)
        positional, _ = program.call_spec.in_spec.children()
        self._positional = positional.num_leaves
        self._module = program.module()
        self._device = device

    def run(self, feeds: Mapping[str, Tensor]) -> Tensor:
        """Return the output for inputs [N, ...] by name; raises RuntimeError in one line when it fails."""
        rows = [feeds[name] for name in self.inputs]
        by_name = dict(zip(self.inputs[self._positional :], rows[self._positional :], strict=True))
        try:
            answer = self._module(*rows[: self._positional], **by_name)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # guards of the program raise AssertionError
            raise RuntimeError(" ".join(str(error).split())[:LONGEST]) from error
        return answer[0] if isinstance(answer, tuple | list) else answer


def load_pt2(content: bytes, where: str, device: torch.device, allow_pickle: bool) -> Pt2Graph:
    """Load the bytes of a ``.pt2`` archive.

    Raises PolicyError without ``allow_pickle``, for compiled code or custom objects inside, or for what torch cannot
    load.
    """
    if not allow_pickle:
        raise PolicyError(
            f"{where} is of kind pt2, whose loader unpickles and can so run any code in the file; export it as "
            "onnx, or set allow_pickle if you trust the file's author"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile as error:
        raise PolicyError(f"{where} is not an archive of torch.export: {error}") from error
    refused = [name for name in members if any(word in name.rpartition("archive/")[2] for word in REFUSED)]
    if refused:
        raise PolicyError(
            f"{where} holds '{refused[0]}', code or an object that no policy needs; export it again"
        )
    try:
        program = torch.export.load(io.BytesIO(content))
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        return Pt2Graph(program, device)
    except Exception as error:  # whatever the archive's content runs into
        reason = " ".join(str(error).split())[:LONGEST]
        raise PolicyError(f"{where} is not a program that this torch can load: {reason}") from error
