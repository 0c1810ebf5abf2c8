# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What services wait for."""

import threading

from vla_iss_ros.ros.pipelines import Waiters


def test_a_question_waits_for_as_long_as_a_frame_is_worked_on():
    waiters, looks = Waiters(), []

    def working():
        looks.append(1)
        if len(looks) == 3:
            threading.Thread(target=waiters.answer, args=(1, True, "done")).start()
        return True

    assert waiters.ask(0.0, lambda: False, working) == (True, "done")
    assert len(looks) >= 3
