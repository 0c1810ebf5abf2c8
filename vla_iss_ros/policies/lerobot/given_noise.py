# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Hand a library the noise that it would draw itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class GivenNoise(TorchFunctionMode):
    """Within it ``torch.randn`` of this thread gives ``noise``, expanded to the shape that is asked for.

    Schedulers of diffusers draw their noise for a whole batch from one generator: no seed makes rows share it.
    """

    def __init__(self, noise: Tensor) -> None:
        super().__init__()
        self._noise = noise

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer draws, run anything else."""
        named = dict(kwargs or {})
        if func is not torch.randn:
            return func(*args, **named)
        shape = named.get("size", args[0] if args and not isinstance(args[0], int) else args)
        return self._noise.to(named.get("device") or "cpu", named.get("dtype")).expand(tuple(shape))
