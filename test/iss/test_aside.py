# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import gc
import threading
import weakref

import pytest
import torch

from vla_iss_ros.iss.aside import Aside, Painter

MASKS = torch.tensor([[True, False], [False, True]])
CHOSEN = torch.tensor([0, 1])


class Recording:
    """A subject that notes who makes its variants."""

    def __init__(self, error=None):
        self.threads, self.error = [], error

    def variants(self, replaced, chosen):
        self.threads.append(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        return replaced.double().sum(1) + chosen


def test_what_runs_aside_runs_one_after_another_without_gradients():
    aside, order = Aside(), []
    weight = torch.ones(1, requires_grad=True)
    first = aside.start(lambda: order.append(1) or (weight * 2).requires_grad)
    second = aside.start(lambda number: order.append(number), 2)
    second.result()
    assert order == [1, 2]
    assert first.result() is False


def test_a_batch_that_was_painted_ahead_is_not_painted_again():
    subject = Recording()
    painter = Painter(subject, Aside())
    painter.paint_ahead(lambda: (MASKS, CHOSEN))
    assert painter.paint(MASKS.clone(), CHOSEN.clone()).tolist() == [1, 2]
    assert len(subject.threads) == 1
    assert subject.threads[0] != threading.current_thread().name


@pytest.mark.parametrize(
    ("masks", "chosen"), [(~MASKS, CHOSEN), (MASKS, 1 - CHOSEN), (MASKS[:1], CHOSEN[:1])]
)
def test_another_batch_than_the_one_painted_ahead_is_painted(masks, chosen):
    subject = Recording()
    painter = Painter(subject, Aside())
    painter.paint_ahead(lambda: (MASKS, CHOSEN))
    assert painter.paint(masks, chosen).tolist() == subject.variants(masks, chosen).tolist()
    # And what was painted ahead is gone, so that it takes no memory.
    painter.paint(MASKS, CHOSEN)
    assert len(subject.threads) == 4


def test_where_nothing_follows_nothing_is_painted():
    subject = Recording()
    painter = Painter(subject, Aside())
    painter.paint_ahead(lambda: None)
    assert painter.paint(MASKS, CHOSEN).tolist() == [1, 2]
    assert len(subject.threads) == 1


def test_what_fails_ahead_is_tried_again_when_it_is_asked_for():
    subject = Recording(RuntimeError("CUDA out of memory"))
    painter = Painter(subject, Aside())
    painter.paint_ahead(lambda: (MASKS, CHOSEN))
    with pytest.raises(RuntimeError, match="out of memory"):
        painter.paint(MASKS, CHOSEN)
    painter.paint_ahead(lambda: (MASKS, CHOSEN))
    painter.forget()
    subject.error = None
    assert painter.paint(MASKS, CHOSEN).tolist() == [1, 2]


def test_what_failed_ahead_is_not_kept():
    class Large:
        pass

    def fail():
        large = Large()
        kept.append(weakref.ref(large))
        raise RuntimeError("out of memory")

    kept, painter = [], Painter(Recording(), Aside())
    gc.disable()
    try:
        painter.paint_ahead(fail)
        painter.paint(MASKS, CHOSEN)
        painter.paint_ahead(lambda: None)  # the thread lets go of the one before
        painter.forget()
        assert kept[0]() is None
    finally:
        gc.enable()


def test_without_a_thread_nothing_is_painted_ahead():
    subject = Recording()
    painter = Painter(subject, None)
    painter.paint_ahead(lambda: (MASKS, CHOSEN))
    assert subject.threads == []
    assert painter.paint(MASKS, CHOSEN).tolist() == [1, 2]
