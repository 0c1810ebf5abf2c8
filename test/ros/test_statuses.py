# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What diagnostics say, without a node."""

import math
import threading
import time
from types import SimpleNamespace

import pytest

from vla_iss_ros.iss.effects import Effect
from vla_iss_ros.iss.nmr import NuisanceMassRatio
from vla_iss_ros.ros.alarms import UNDEFINED_FACTOR, Alarm
from vla_iss_ros.ros.camera_statistics import CameraStatistics
from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN, Status, plain, to_message
from vla_iss_ros.ros.pipeline_status import RECENT, NodeState, camera_status, judge, node_statuses
from vla_iss_ros.ros.pipelines import Waiters
from vla_iss_ros.ros.result_status import judge_nmr, nmr_status
from vla_iss_ros.ros.synchronisation import ClosestSet
from vla_iss_ros.ros.worker import LatestSlot, Progress
from vla_iss_ros.settings import check

SETTINGS = check({})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25"), (1 / 3, "0.333333"), (math.nan, "nan"), (7, "7"), (True, "True"), ("clean", "clean")],
)
def test_values_are_plain_text(value, text):
    assert plain(value) == text


def test_a_status_becomes_a_message_with_the_nodes_name_and_a_hardware_id():
    message = to_message(Status("NMR", WARN, "0.5", {"chance": 0.4}), "/left/iss_node")
    assert (message.name, message.level, message.message) == ("/left/iss_node: NMR", WARN, "0.5")
    assert [(pair.key, pair.value) for pair in message.values] == [("chance", "0.4")]
    assert message.hardware_id


@pytest.mark.parametrize(
    ("value", "chance", "level"),
    [
        (0.39, 0.4, OK),
        (0.40, 0.4, WARN),
        (0.59, 0.4, WARN),
        (0.61, 0.4, ERROR),
        (math.nan, 0.4, OK),
        (0.0, 0.0, OK),
        (1.0, math.nan, OK),
    ],
)
def test_nmr_is_judged_against_chance(value, chance, level):
    at_once = check({"alarm_frames": 1})
    assert judge_nmr(NuisanceMassRatio(10, value, chance=chance), Alarm(), at_once) == level


def test_nmr_is_judged_after_as_many_frames_as_are_asked_for():
    alarm, headline = Alarm(), NuisanceMassRatio(10, 0.5, chance=0.4)
    levels = [judge_nmr(headline, alarm, check({"alarm_frames": 3})) for _ in range(4)]
    assert levels == [OK, OK, WARN, WARN]


def test_nmr_is_judged_though_only_some_frames_have_label_images():
    alarm, three = Alarm(), check({"alarm_frames": 3})
    regions, none = NuisanceMassRatio(10, 1.0, chance=0.4), NuisanceMassRatio(10, math.nan)
    frames = [regions, none, none, none, none] * 3
    assert [judge_nmr(each, alarm, three) for each in frames] == [OK] * 10 + [ERROR] * 5
    levels = [judge_nmr(none, alarm, three) for _ in range(3 * UNDEFINED_FACTOR)]
    assert (levels[0], levels[-1]) == (ERROR, OK)


def test_a_level_that_stands_without_an_nmr_says_so():
    status = nmr_status(
        result(math.nan, reason="no regions: label images tell", level=ERROR), {}, SETTINGS, {}
    )
    assert status.level == ERROR
    assert status.message == (
        "NMR@10 undefined: no regions: label images tell; earlier frames' level stands until frames can be judged again"
    )


def result(value=0.25, age=0.0, reason="", level=OK):
    headline = NuisanceMassRatio(10, value, 0.1, 0.4, 0.5, 0.0, {"front": value}, reason)
    explanation = SimpleNamespace(
        ratios={10: headline, 20: NuisanceMassRatio(20, 0.3)},
        samples=128,
        remembered=48,
        stop_reason="samples",
        mean_delta=0.02,
        noise_floor=1e-12,
        shared_noise=True,
        effects=(Effect("camera", "front", 0.1, 0.5), Effect("state", "state", math.nan, reason="no mean")),
    )
    return SimpleNamespace(
        headline=headline,
        level=level,
        explanation=explanation,
        frame=SimpleNamespace(arrived=time.monotonic() - age, stamp=1_767_225_600_925_000_001, spread=0.004),
        observation=SimpleNamespace(instruction="press the button"),
    )


def test_the_nmr_status_has_headline_and_figures():
    status = nmr_status(result(), {"policy": 0.3, "latency": 0.4}, SETTINGS, {})
    assert (status.level, status.message) == (OK, "NMR@10 0.25 [0.10, 0.40], chance 0.50, N = 128")
    assert status.values["NMR@20"] == 0.3
    assert status.values["NMR over chance"] == 0.5
    assert status.values["synchronisation spread (s)"] == 0.004
    assert status.values["effect camera front share"] == 0.5
    assert status.values["effect state reason"] == "no mean"
    assert status.values["seconds policy"] == 0.3
    assert status.values["stamp (s)"] == "1767225600.925000001"


def test_without_nmr_the_status_says_why():
    status = nmr_status(result(math.nan, reason="no regions: label images tell"), {}, SETTINGS, {})
    assert (status.level, status.message) == (OK, "NMR@10 undefined: no regions: label images tell")


def test_an_old_result_is_stale_but_not_when_frames_take_long():
    assert nmr_status(result(age=60.0), {"latency": 1.0}, SETTINGS, {}).level == WARN
    assert nmr_status(result(age=60.0), {"latency": 1.0}, SETTINGS, {}).message.startswith(
        "stale, 60 s old: NMR@10"
    )
    assert nmr_status(result(age=60.0), {"latency": 40.0}, SETTINGS, {}).level == OK
    assert nmr_status(result(0.9, level=ERROR), {}, SETTINGS, {}).level == ERROR
    assert nmr_status(result(0.9, age=60.0, level=ERROR), {}, SETTINGS, {}).level == WARN


@pytest.mark.parametrize(
    ("values", "seconds", "period"),
    [
        ({"max_rate": 0.02}, {"explain": 1.0, "latency": 1.2}, 50.0),
        ({"duty_cycle": 0.25}, {"decode": 1.0, "explain": 5.0, "compare actions": 4.0, "latency": 1.0}, 40.0),
        ({"max_rate": 1.0, "duty_cycle": 0.5}, {"explain": 0.1, "attributions": 0.2, "latency": 0.4}, 1.0),
    ],
)
def test_a_result_is_not_stale_before_the_next_may_come(values, seconds, period):
    settings = check(values)
    busy = sum(seconds.values()) - seconds["latency"]
    # It stands until all is done with the next frame, which begins a period after it did.
    for age, level in ((period + busy + 3.0, OK), (period + max(3 * busy, 5.0) + 1.5, WARN)):
        assert nmr_status(result(age=age), seconds, settings, {}).level == level


def test_before_any_result():
    assert nmr_status(None, {}, SETTINGS, {}) == Status("NMR", WARN, "no frame has been explained yet")


class FakeInputs:
    def __init__(self, **ages):
        self.cameras = {}
        for camera, age in ages.items():
            arrived = math.nan if age is None else time.monotonic() - age
            self.cameras[camera] = CameraStatistics(0 if age is None else 5, arrived, 0.1)
        self.labels = None
        self.synchroniser = SimpleNamespace(
            stepped_back=0, completed_at=time.monotonic(), waited=0.0, closest=ClosestSet(0.004)
        )
        self.connections = SimpleNamespace(problems=lambda: self.problems)
        self.problems = {}
        self.stood_in = 0

    def instruction(self, fallback):
        return fallback


def state(lifecycle="active", problem="", recent="", inputs=None, **progress):
    faults = SimpleNamespace(recent=lambda seconds: recent, counts=lambda: {"camera front: truncated": 3})
    inputs = inputs or FakeInputs(front=0.0, wrist=0.0)
    return NodeState(
        lifecycle,
        problem,
        list(inputs.cameras),
        SETTINGS,
        "clean",
        inputs,
        LatestSlot(),
        Progress(**progress),
        faults,
    )


@pytest.mark.parametrize(
    ("given", "level", "message"),
    [
        ({"lifecycle": "unconfigured", "problem": "no checkpoint at 'x'"}, ERROR, "no checkpoint at 'x'"),
        ({"lifecycle": "unconfigured"}, WARN, "unconfigured"),
        ({"lifecycle": "inactive"}, OK, "inactive"),
        ({"done": 3}, OK, "3 frames done"),
        ({}, OK, "waiting for the first frame"),
        (
            {"recent": "bad message on camera front: 3 bytes", "done": 3},
            WARN,
            "bad message on camera front: 3 bytes",
        ),
    ],
)
def test_the_pipeline_says_the_worst_in_one_line(given, level, message):
    assert judge(state(**given)) == (level, message)


@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ({"front": 0.0, "wrist": None}, "no image from wrist"),
        ({"front": RECENT + 1, "wrist": 0.0}, "no image from front"),
        ({"front": RECENT + 1, "wrist": None}, "no image from front, wrist"),
    ],
)
def test_the_pipeline_names_silent_cameras(ages, message):
    assert judge(state(inputs=FakeInputs(**ages))) == (WARN, message)


def test_a_failed_frame_is_an_error_and_one_that_is_not_ready_a_warning():
    progress = state()
    progress.progress.problem, progress.progress.broken = "it raised", True
    assert judge(progress) == (ERROR, "it raised")
    progress.progress.broken = False
    assert judge(progress) == (WARN, "it raised")


def apart(seconds, topics=("front", "wrist"), waited=RECENT + 1):
    """Return inputs whose images come and have stamps so far apart."""
    inputs = FakeInputs(front=0.0, wrist=0.0)
    inputs.synchroniser.closest, inputs.synchroniser.waited = ClosestSet(seconds, topics), waited
    return inputs


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0.06, "images of front and wrist are 60 ms apart, sync_slop is 50 ms: no frame is complete"),
        (0.0504, "images of front and wrist are 50.4 ms apart, sync_slop is 50 ms: no frame is complete"),
        (3600.0, "images of front and wrist are 3600000 ms apart, sync_slop is 50 ms: no frame is complete"),
        (0.01, "images of front, wrist come, but none of them make a complete frame"),
    ],
)
def test_images_that_never_make_a_frame_are_told(seconds, message):
    assert judge(state(inputs=apart(seconds), done=100)) == (WARN, message)
    assert judge(state(inputs=apart(seconds, waited=RECENT - 1), done=100)) == (OK, "100 frames done")
    assert judge(state(inputs=apart(seconds, waited=math.nan))) == (OK, "waiting for the first frame")


def test_cameras_of_which_nothing_comes_are_named_before_a_problem_of_the_past():
    silent = FakeInputs(front=600.0, wrist=600.0)
    given = state(inputs=silent, failed=1, broken=True)
    given.progress.problem = "boom"
    # Frames still come, such as those with an image that stands in: the problem is theirs.
    assert judge(given) == (ERROR, "boom")
    silent.synchroniser.completed_at -= 600.0
    assert judge(given) == (WARN, "no image from front, wrist")
    values = next(iter(node_statuses(given))).values
    assert values["problem of the last frame"] == "boom"
    assert values["age of the last complete frame (s)"] == pytest.approx(600.0, abs=5.0)
    for camera in silent.cameras.values():
        camera.arrived = time.monotonic()
    assert judge(given) == (ERROR, "boom")
    given.inputs.synchroniser.waited, given.inputs.synchroniser.closest = (
        600.0,
        ClosestSet(0.06, ("front", "wrist")),
    )
    assert judge(given)[1].startswith("images of front and wrist are 60 ms apart")


def test_the_pipeline_tells_how_far_the_cameras_stamps_are_apart():
    values = next(iter(node_statuses(state()))).values
    assert values["smallest distance of the cameras' stamps (s)"] == 0.004
    assert values["problem of the last frame"] == "none"


def test_a_policy_that_hangs_is_an_error():
    level, message = judge(state(beat_at=time.monotonic() - SETTINGS.hang_timeout - 20))
    assert level == ERROR
    assert message.startswith("the policy has not answered for 50 s")
    assert judge(state(busy_since=time.monotonic() - 1000, beat_at=time.monotonic()))[0] == OK


def test_a_camera_has_age_rate_and_its_own_bad_messages():
    given = state(inputs=FakeInputs(front=0.0, wrist=RECENT + 2))
    front = camera_status("front", given.inputs, given.faults)
    assert (front.level, front.message) == (OK, "10.0 Hz")
    assert front.values["bad camera front: truncated"] == 3
    wrist = camera_status("wrist", given.inputs, given.faults)
    assert (wrist.level, wrist.message) == (WARN, "no image for 7 s")
    assert "bad camera front: truncated" not in wrist.values


def test_waiters_get_the_outcome_of_a_frame_that_started_after_they_asked():
    waiters = Waiters()
    assert waiters.waiting == 0
    assert waiters.ask(0.0, lambda: False) == (False, "no frame was explained within 0 s; see /diagnostics")
    assert waiters.ask(60.0, lambda: True)[1] == "the node was stopped before the frame was explained"
    # Nobody waits any more, so no frame is explained at full N for them.
    assert waiters.waiting == 0
    asking = threading.Thread(target=lambda: answers.append(waiters.ask(60.0, lambda: False)))
    answers = []
    asking.start()
    while waiters.waiting != 3:
        pass
    waiters.answer(2, True, "an older one")
    assert waiters.waiting == 3
    waiters.answer(3, True, "NMR@10 0.25")
    asking.join()
    assert (answers, waiters.waiting) == ([(True, "NMR@10 0.25")], 0)


def camera_with(given):
    """Return a function that lets images of some steps come, and loses some on the way."""
    camera = given.inputs.cameras["front"]
    message = SimpleNamespace(header=SimpleNamespace(frame_id="front"), data=b"1234", encoding="rgb8")

    def come(steps, lost=0):
        for step in steps:
            camera.note(message)
            camera.note_stamp(1_000_000_000 + step * 33_000_000)
            if lost:
                camera.note_lost(lost)

    return come


def test_a_camera_whose_images_get_lost_names_the_remedy_and_clears_by_itself():
    given = state(inputs=FakeInputs(front=0.0))
    come = camera_with(given)
    come(range(30))
    assert camera_status("front", given.inputs, given.faults).level == OK
    come(range(31, 90, 3), lost=2)
    status = camera_status("front", given.inputs, given.faults)
    assert status.level == WARN
    assert status.message.startswith("44 % of the images are lost; start the camera driver")
    assert status.values["images missing by their stamps"] == 39
    assert status.values["images lost by the middleware"] == 40
    come(range(89, 460))
    assert camera_status("front", given.inputs, given.faults).level == OK


def test_images_that_came_while_the_process_was_busy_are_told_and_no_reason_to_worry():
    given = state(inputs=FakeInputs(front=0.0))
    come = camera_with(given)
    come(range(30))
    come(range(31, 90, 3))
    status = camera_status("front", given.inputs, given.faults)
    assert status.level == OK
    assert status.message.endswith(", 44 % came while this process was busy or not at all")
