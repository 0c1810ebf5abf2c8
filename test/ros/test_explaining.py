# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import time
from types import SimpleNamespace

import pytest
import torch

from vla_iss_ros import settings
from vla_iss_ros.policies.recorded import Recorded
from vla_iss_ros.ros.explaining import ExplainingPipeline
from vla_iss_ros.ros.iss_node import IssNode
from vla_iss_ros.ros.pipelines import Waiters
from vla_iss_ros.ros.worker import CancelledError


@pytest.mark.parametrize(
    ("values", "donors", "message"),
    [
        ({"precision": "tf32"}, [1], "precision tf32 needs a CUDA device and the policy is on cpu"),
        (
            {"composite_resolution": "camera"},
            [1],
            "needs a policy with a method resize and SimpleNamespace has none",
        ),
        ({"space": "token"}, [1], "space token needs a policy with encode and run_tokens"),
        ({}, [], "baseline donor needs recorded frames and none are loaded"),
    ],
)
def test_settings_that_the_policy_cannot_follow_are_refused_when_they_are_set(values, donors, message):
    pipeline = SimpleNamespace(
        policy=SimpleNamespace(device=torch.device("cpu"), spec=None), _recorded=Recorded(donors)
    )
    with pytest.raises(ValueError, match=message):
        ExplainingPipeline.check(pipeline, settings.check(values))
    ExplainingPipeline.check(pipeline, settings.check({"baseline": "blur"}))


@pytest.mark.parametrize(("duty", "busy", "pause"), [(1.0, 3.0, 0.0), (0.25, 1.0, 3.0), (0.5, 0.2, 0.2)])
def test_the_pause_keeps_the_share_of_working_time(duty, busy, pause):
    chosen = settings.check({"duty_cycle": duty})
    pipeline = SimpleNamespace(waiters=Waiters())
    assert ExplainingPipeline.rest(pipeline, chosen, busy) == pytest.approx(pause)
    pipeline.waiters._asked = 1
    assert ExplainingPipeline.rest(pipeline, chosen, busy) == 0


def test_a_question_waits_longer_only_while_the_policy_answers():
    pipeline, progress = SimpleNamespace(running=False), SimpleNamespace(beat_at=time.monotonic())
    node = SimpleNamespace(
        pipeline=pipeline, settings=settings.check({"hang_timeout": 60.0}), _progress=progress
    )
    # A frame that is decoded may turn out to be of no use, one after the other.
    assert not IssNode._is_answering(node)
    pipeline.running = True
    assert IssNode._is_answering(node)
    progress.beat_at -= 60.0
    assert not IssNode._is_answering(node)
    node.pipeline = None
    assert not IssNode._is_answering(node)


def test_a_question_is_not_kept_waiting_by_the_rate():
    pipeline, chosen = SimpleNamespace(waiters=Waiters()), settings.check({"max_rate": 0.02})
    assert ExplainingPipeline.period(pipeline, chosen) == 50
    pipeline.waiters._asked = 1
    assert ExplainingPipeline.period(pipeline, chosen) == 0


@pytest.mark.parametrize(
    ("outputs", "diagnostics", "asked", "works"),
    [(False, 0, 0, False), (True, 0, 0, True), (False, 1, 0, True), (False, 0, 1, True)],
)
def test_nothing_is_explained_when_nobody_would_hear_of_it(outputs, diagnostics, asked, works):
    class ExplainedError(Exception):
        pass

    def explain(*args, **keywords):
        raise ExplainedError

    waiters = Waiters()
    waiters._asked = asked
    pipeline = SimpleNamespace(
        waiters=waiters,
        _outputs=SimpleNamespace(wanted=lambda: outputs),
        _attributions=SimpleNamespace(wanted=lambda: False),
        _node=SimpleNamespace(count_subscribers=lambda topic: diagnostics),
        _explain=explain,
    )
    with pytest.raises(ExplainedError if works else CancelledError):
        ExplainingPipeline.process(pipeline, None, None, settings.check({}), None)
