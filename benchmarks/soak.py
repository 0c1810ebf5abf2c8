# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether iss_node can be left running: memory, latency and errors over minutes of frames at full rate.

Frames of the sample bag go to a real iss_node, over and over and faster than it can explain them; all its pictures are
listened to. Its resident memory is read once a second. The first tenth of the time warms up and is left out. Status 1
when memory grew by more than 5 % from the first third to the last (medians), when the 95th percentile of the latency
doubled, when a frame failed or a message was refused, or when the node ended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from live import Robot, arguments, stamp_of
from sensor_msgs.msg import Image

from vla_iss_ros.cli.demo_session import Process, Session, free_domains

RATE = 30.0
WARM_UP = 0.1
# A queue that grows makes frames older by the minute; other work on the machine does not double them for long.
MOST_GROWTH, MOST_SLOWING = 5.0, 2.0
PIPELINE = "/iss_node: pipeline"


def resident_bytes(process: Process) -> int:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in text.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])


def soak(minutes: float, logs: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (time, resident bytes) [S, 2], (time, latency) in seconds [F, 2] and the number of errors."""
    (domain,) = free_domains(1)
    memory: list[tuple[float, float]] = []
    latency: list[tuple[float, float]] = []
    with Session("soak", domain, 1, logs) as session:
        node = session.start(
            "iss_node", arguments(max_rate=1000.0, duty_cycle=1.0, image_reliability="reliable")
        )
        session.wait_until_configured(node)
        robot = Robot(domain, ["iss_node"])
        robot.listen(
            Image,
            "/iss_node/output/front/overlay",
            lambda message: latency.append((time.monotonic(), time.time() - stamp_of(message) / 1e9)),
        )
        for name in ("wrist/overlay", "front/saliency", "chart"):
            robot.listen(Image, f"/iss_node/output/{name}", lambda message: None)
        robot.until(lambda: robot.heard_by("iss_node"), "discovery of iss_node")
        begun = time.monotonic()
        while time.monotonic() < begun + 60 * minutes:
            robot.send_at(RATE, 1.0)
            session.require_alive()
            memory.append((time.monotonic(), resident_bytes(node)))
        robot.until(lambda: PIPELINE in robot.statuses, "diagnostics")
        values = robot.statuses[PIPELINE]
        print(f"  {values['frames received']} frames received, {values['frames done']} explained")
        robot.close()
    errors = int(values["errors"]) + int(values["bad messages"])
    start = begun + 60 * minutes * WARM_UP
    warm = [np.array([row for row in rows if row[0] >= start]) for rows in (memory, latency)]
    return warm[0], warm[1], errors


def thirds(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the first and of the last third of the time."""
    low, high = rows[0, 0], rows[-1, 0]
    first, last = rows[:, 0] <= low + (high - low) / 3, rows[:, 0] >= high - (high - low) / 3
    return rows[first, 1], rows[last, 1]


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        memory, latency, errors = soak(options.minutes, Path(logs))
    before, after = (float(np.median(part)) for part in thirds(memory))
    growth = 100 * (after / before - 1)
    early, late = (float(np.percentile(part, 95)) for part in thirds(latency))
    print(
        f"  resident {before / 2**20:.0f} MB, then {after / 2**20:.0f} MB; p95 latency {1000 * early:.0f} ms, "
        f"then {1000 * late:.0f} ms"
    )
    print(
        f"soak: {len(latency)} frames, rss {growth:+.1f} %, p95 latency first / last third = {early / late:.2f}, "
        f"errors {errors}"
    )
    return int(growth > MOST_GROWTH or late / early > MOST_SLOWING or errors > 0)


if __name__ == "__main__":
    sys.exit(main())
