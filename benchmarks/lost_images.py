# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How many large images reach a subscriber in another process, with and without the Fast DDS profile on either side.

It starts a publisher and a subscriber for each case, on this computer alone, and prints one line a case.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from vla_iss_ros.messages.stamps import nanoseconds_from_stamp, stamp_from_nanoseconds
from vla_iss_ros.ros.camera_statistics import CameraStatistics

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name in Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

PROFILE = Path(__file__).parents[1] / "config" / "fastdds_shm.xml"
TOPIC, WIDTH, HEIGHT, RATE = "/lost_images/image", 640, 480, 30.0
QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
PATIENCE = 20.0
CASES = (
    ("default", False, False),
    ("profile at the subscriber", False, True),
    ("profile at the publisher", True, False),
)


def publish(node: Node, count: int) -> None:
    """Publish ``count`` images once somebody listens."""
    publisher = node.create_publisher(Image, TOPIC, QOS)
    message = Image(
        height=HEIGHT, width=WIDTH, step=3 * WIDTH, encoding="rgb8", data=bytes(3 * WIDTH * HEIGHT)
    )
    until = time.monotonic() + PATIENCE
    while not publisher.get_subscription_count() and time.monotonic() < until:
        time.sleep(0.05)
    for number in range(count):
        message.header.stamp = stamp_from_nanoseconds(10**12 + round(number * 1e9 / RATE), Time)
        publisher.publish(message)
        time.sleep(1 / RATE)
    time.sleep(1.0)


def listen(node: Node, count: int) -> None:
    """Count what comes until nothing has come for two seconds, and print it."""
    statistics = CameraStatistics()

    def take(message: Image) -> None:
        statistics.note(message)
        statistics.note_stamp(nanoseconds_from_stamp(message.header.stamp))

    events = SubscriptionEventCallbacks(
        message_lost=lambda event: statistics.note_lost(event.total_count_change)
    )
    node.create_subscription(Image, TOPIC, take, QOS, event_callbacks=events)
    last, heard = time.monotonic() + PATIENCE, 0
    while time.monotonic() < last:
        rclpy.spin_once(node, timeout_sec=0.1)
        if statistics.received + statistics.lost > heard:
            heard, last = statistics.received + statistics.lost, time.monotonic() + 2.0
    print(f"{statistics.received} of {count} arrive, the middleware reports {statistics.lost} lost")


def environment(with_profile: bool, domain: int) -> dict[str, str]:
    """Return the variables of a process with or without the profile."""
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    variables = {name: value for name, value in os.environ.items() if name not in names}
    variables |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return variables | {name: str(PROFILE) for name in names if with_profile}


def run_case(publisher: bool, subscriber: bool, count: int, domain: int) -> str:
    """Run one case in two processes and return the subscriber's line."""
    command = [sys.executable, __file__, "--images", str(count), "--role"]
    listening = subprocess.Popen(
        [*command, "subscriber"], env=environment(subscriber, domain), stdout=subprocess.PIPE, text=True
    )
    subprocess.run([*command, "publisher"], env=environment(publisher, domain), check=True)
    return listening.communicate(timeout=2 * PATIENCE)[0].strip()


def main() -> None:
    """Run every case, or one role of a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=150, help="images a case")
    parser.add_argument("--domain", type=int, default=95, help="ROS domain of the first case")
    parser.add_argument("--role", choices=("publisher", "subscriber"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role is None:
        for number, (name, publisher, subscriber) in enumerate(CASES):
            print(
                f"{name:26s} {run_case(publisher, subscriber, given.images, given.domain + number)}",
                flush=True,
            )
        return
    rclpy.init()
    node = rclpy.create_node(f"lost_images_{given.role}")
    (publish if given.role == "publisher" else listen)(node, given.images)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
