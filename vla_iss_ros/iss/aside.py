# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A second thread for what need not hold up the policy: the next batch's images, the estimate."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from vla_iss_ros.iss.subjects import Subject

Result = TypeVar("Result")


class Aside:
    """One thread of the process that does one thing after another.

    Threads that come and go with what they belong to would each leave memory of their own behind.
    """

    _pool = ThreadPoolExecutor(1, "vla_iss_ros aside")

    def start(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Have ``work`` done beside the caller, without gradients."""

        def without_gradients() -> Result:
            with torch.inference_mode():  # holds for one thread
                return work(*arguments)

        return self._pool.submit(without_gradients)


class Painter:
    """Makes the variants of batches, those of the next one while the policy runs on one.

    At most two batches are in memory. Only for subjects in the host's memory: a device has a queue of its own.
    """

    def __init__(self, subject: Subject, aside: Aside | None) -> None:
        self._subject, self._aside = subject, aside
        self._ahead: Future[tuple[Tensor, Tensor, Any] | None] | None = None

    def paint_ahead(self, batch: Callable[[], tuple[Tensor, Tensor] | None]) -> None:
        """Begin to make the variants that will be asked for next.

        ``batch`` is called in the other thread and returns ``replaced`` bool [n, C] and ``chosen`` int64 [n], or None
        where nothing follows.
        """
        if self._aside is not None:
            self._ahead = self._aside.start(self._paint, batch)

    def paint(self, replaced: Tensor, chosen: Tensor) -> Any:
        """Return the variants; what was made ahead counts only if it succeeded and is of the very same batch."""
        made = self._made_ahead()
        if made is not None and torch.equal(made[0], replaced) and torch.equal(made[1], chosen):
            return made[2]
        return self._subject.variants(replaced, chosen)

    def forget(self) -> None:
        """Drop what was made ahead, and its memory."""
        self._made_ahead()

    def _made_ahead(self) -> tuple[Tensor, Tensor, Any] | None:
        """Wait for what was begun; None where it failed, for instance because the policy had the memory then."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.exception() is not None:
            return None
        return ahead.result()

    def _paint(self, batch: Callable[[], tuple[Tensor, Tensor] | None]) -> tuple[Tensor, Tensor, Any] | None:
        found = batch()
        return None if found is None else (*found, self._subject.variants(*found))
