# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small safetensors files, read at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from vla_iss_ros.policies.errors import PolicyError


def read_safetensors(path: Path, largest: int, what: str) -> tuple[dict[str, Tensor], dict[str, str], bytes]:
    """Return a file's tensors, its metadata and its bytes; ``what``: how errors call it.

    Nothing stays mapped: a file that is overwritten in place would otherwise end the process (SIGBUS) that uses its
    tensors. Raises PolicyError for more than ``largest`` bytes and for what is no safetensors file.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > largest:
                raise PolicyError(f"{what} '{path}' has more than {largest} bytes")
            content = file.read(size)  # room is made for as much as is asked for
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, OSError, KeyError) as error:
        raise PolicyError(f"{what} '{path}' is not a readable safetensors file: {error}") from error
    return tensors, header.get("__metadata__") or {}, content
