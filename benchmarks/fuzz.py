# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Send iss_node random and mutated messages, and see that it stays, counts every bad one and goes on.

The node runs in a child process, with its own threads and over the real middleware. A message at a time is sent with
good ones of the other topics, so that what is wrong can be told: the node's count of bad messages must grow by one
for a message that the decoders refuse and stay for one that they take. The child's death is a crash; another one goes
on with the next message. Status 0: no crash, all counted, and a good frame at the end is explained.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NODE = "iss_node"
PATIENCE = 20.0
MOST_CRASHES = 20
INPUTS = {
    "front": "front/image",
    "wrist": "wrist/image",
    "state": "joint_states",
    "instruction": "instruction",
}
TOPIC_OF = {"image": "front", "compressed": "wrist", "joint_states": "state", "instruction": "instruction"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=10000, help="how many to send (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the messages (default: 0)")
    parser.add_argument("--child-from", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child_from is not None:
        return Child(options.seed).run(options.child_from, options.messages)
    return supervise(options.messages, options.seed)


def supervise(messages: int, seed: int) -> int:
    """Let children send all messages, print the sum, and return the exit status."""
    start, crashes, bad, wrong, explained = 0, 0, 0, 0, False
    while not explained and crashes < MOST_CRASHES:
        command = [sys.executable, __file__, "--messages", str(messages), "--seed", str(seed)]
        child = subprocess.Popen([*command, "--child-from", str(start)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        counted = 0
        for line in child.stdout:
            if not line.startswith("{"):
                continue
            record = json.loads(line)
            start, counted = record["next"], record["bad"]
            if "wrong" in record:
                wrong += 1
                print(f"message {start - 1}: {record['wrong']}")
            explained = record.get("explained", False)
        bad += counted
        if child.wait() != 0 or not explained:
            crashes += 1
            print(f"the node ended with status {child.returncode} at message {start}")
            start += 1
    answer = "yes" if explained else "no"
    if wrong:
        print(f"{wrong} messages were not counted as they should")
    print(
        f"fuzz: {messages} messages, {crashes} crashes, {bad} bad ones counted, last good frame explained: {answer}"
    )
    return int(crashes > 0 or wrong > 0 or not explained)


class Child:
    """The process that has the node."""

    def __init__(self, seed: int) -> None:
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._seed = seed
        self._namespace = f"/fuzz_{os.getpid()}"
        self._received = dict.fromkeys(INPUTS, 0)
        self._sent = dict.fromkeys(INPUTS, 0)
        self._publishers: dict[str, Any] = {}
        self._node: Any = None
        self._sender: Any = None

    def run(self, first: int, messages: int) -> int:
        """Send the messages from ``first`` on; return the exit status."""
        import fuzz_messages

        self._start()
        for index in range(first, messages):
            self._step(fuzz_messages, index)
        stamp = (messages + 100) * 10**8
        for _ in range(3):
            stamp += 10**8
            self._send_frame(fuzz_messages.plain_frame(stamp), {})
            self._until(lambda: self._settled())
        latest = self._node.pipeline._latest
        explained = latest is not None and latest[0].frame.stamp == stamp
        self._report(messages, explained=explained)
        sys.stdout.flush()
        os._exit(0)

    def _start(self) -> None:
        import rclpy
        from sensor_msgs.msg import CompressedImage, Image, JointState
        from std_msgs.msg import Float32, String

        from vla_iss_ros.ros.inputs import Inputs
        from vla_iss_ros.ros.iss_node import IssNode
        from vla_iss_ros.ros.running import run

        for method, index in (("_take_image", 0), ("_take_state", None), ("_take_instruction", None)):
            self._count(Inputs, method, index)
        made = threading.Event()

        def make() -> Any:
            self._node = IssNode()
            made.set()
            return self._node

        arguments = [
            "--ros-args",
            "--log-level",
            "error",
            "-r",
            f"__ns:={self._namespace}",
            *self._parameters(),
        ]
        threading.Thread(target=run, args=(make, arguments, threading.Event()), daemon=True).start()
        assert made.wait(PATIENCE), "the node was not made"
        self._until(lambda: self._node.is_active)
        # Kept: what a collected node subscribed to is heard no more.
        sender = self._sender = rclpy.create_node(
            "fuzz", namespace=self._namespace, use_global_arguments=False
        )
        kinds = {"front": Image, "wrist": CompressedImage, "state": JointState, "instruction": String}
        for name, topic in INPUTS.items():
            self._publishers[name] = sender.create_publisher(kinds[name], f"{NODE}/input/{topic}", 10)
        # Somebody who listens and never reads: otherwise nothing would be explained.
        sender.create_subscription(Float32, f"{NODE}/output/nmr", lambda message: None, 1)
        sender.create_subscription(Image, f"{NODE}/output/front/overlay", lambda message: None, 1)
        self._until(lambda: all(each.get_subscription_count() for each in self._publishers.values()))
        self._until(lambda: self._node.pipeline._outputs.wanted())

    def _parameters(self) -> list[str]:
        values: dict[str, Any] = {
            "policy": f"builtin:{write_checkpoint(Path(tempfile.mkdtemp(prefix='vla_iss_ros_fuzz_')))}",
            "image_transport": "raw",
            "camera_transports": "wrist=compressed",
            "image_reliability": "reliable",
            f"qos_overrides.{self._namespace}/{NODE}/input/joint_states.subscription.reliability": "reliable",
            "instruction": "press the button",
            "samples": 4,
            "block_size": 4,
            "batch_size": 8,
            "grid": 2,
            "nmr_size": 7,
            "baseline": "mean_colour",
            "effects": False,
            "max_rate": 1000.0,
        }
        return [word for name, value in values.items() for word in ("-p", f"{name}:={json.dumps(value)}")]

    def _count(self, inputs: Any, method: str, camera_at: int | None) -> None:
        original = getattr(inputs, method)
        fixed = {"_take_state": "state", "_take_instruction": "instruction"}.get(method)

        def counted(this: Any, *given: Any) -> None:
            original(this, *given)
            self._received[fixed or given[camera_at or 0]] += 1

        setattr(inputs, method, counted)

    def _step(self, made: Any, index: int) -> None:
        """Send message ``index`` within a frame, wait until the node is done with it, and judge its count."""
        rng = np.random.default_rng([self._seed, index])
        kind = str(rng.choice(made.KINDS))
        stamp = (index + 1) * 10**8
        message, in_time = made.make(kind, rng, stamp)
        before, done = self._bad(), self._done()
        if kind == "instruction":
            self._send("instruction", message)
        else:
            self._send_frame(made.plain_frame(stamp), {TOPIC_OF[kind]: message})
        complete = kind != "instruction" and (in_time or kind == "joint_states")
        # A frame is over when it was explained or refused, some of it as soon as it arrived.
        self._until(lambda: self._settled() and (not complete or self._done() > done or self._bad() > before))
        expected, found = int(made.is_bad(kind, message)), self._bad() - before
        wrong = "" if found == expected else f"{kind} counted {found} times, expected {expected}"
        self._report(index + 1, **({"wrong": wrong} if wrong else {}))

    def _send_frame(self, plain: tuple[Any, Any, Any], instead: dict[str, Any]) -> None:
        front, wrist, state = plain
        # Before a state that may be refused goes one that is not: else the frame would take that of a frame before.
        states = [state, instead["state"]] if "state" in instead else [state]
        for message in states:
            self._send("state", message)
            # The frame takes what is there when it is complete.
            self._until(lambda: self._received["state"] >= self._sent["state"])
        for name, message in {"front": front, "wrist": wrist}.items():
            self._send(name, instead.get(name, message))

    def _send(self, name: str, message: Any) -> None:
        self._sent[name] += 1
        self._publishers[name].publish(message)

    def _bad(self) -> int:
        return sum(self._node.faults.counts().values())

    def _done(self) -> int:
        progress = self._node._progress
        return int(progress.done + progress.failed + progress.skipped)

    def _settled(self) -> bool:
        progress, slot = self._node._progress, self._node._slot
        idle = progress.busy_since != progress.busy_since and slot._item is None
        return idle and self._received == self._sent

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"sent {self._sent}, received {self._received}, {self._node._progress}")
            time.sleep(0.001)

    def _report(self, following: int, **more: Any) -> None:
        print(json.dumps({"next": following, "bad": self._bad(), **more}), flush=True)


def write_checkpoint(directory: Path) -> Path:
    """Write a tiny random policy, so that a frame is explained within milliseconds."""
    import torch
    from safetensors.torch import save_file

    from vla_iss_ros.policies.builtin import FORMAT
    from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

    config = PatchTransformerConfig(
        image_size=16, width=16, heads=2, layers=2, vocabulary=("press", "the", "button")
    )
    torch.manual_seed(0)
    path = directory / "tiny.safetensors"
    metadata = {"format": FORMAT, "config": json.dumps(config.to_dict())}
    save_file(PatchTransformer(config).state_dict(), path, metadata)
    return path


if __name__ == "__main__":
    sys.exit(main())
