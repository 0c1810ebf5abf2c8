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
    """One thread that does one thing after another; it ends when nobody holds this any more."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "vla_iss_ros aside")

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
        self._ahead: tuple[Tensor, Tensor, Future[Any]] | None = None

    def paint_ahead(self, replaced: Tensor, chosen: Tensor) -> None:
        """Begin to make the variants that will be asked for next; ``replaced`` bool [n, C], ``chosen`` int64 [n]."""
        if self._aside is not None:
            future = self._aside.start(self._subject.variants, replaced, chosen)
            self._ahead = (replaced, chosen, future)

    def paint(self, replaced: Tensor, chosen: Tensor) -> Any:
        """Return the variants; what was made ahead counts only if it is of the very same batch."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and torch.equal(ahead[0], replaced) and torch.equal(ahead[1], chosen):
            return ahead[2].result()
        return self._subject.variants(replaced, chosen)
