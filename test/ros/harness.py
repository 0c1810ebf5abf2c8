# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the ROS tests share: domains, processes, a probe in the test's own process, and small inputs."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from safetensors.torch import save_file
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header, String

from vla_iss_ros.messages.encoding import encode_compressed_image, encode_image
from vla_iss_ros.messages.stamps import stamp_from_nanoseconds
from vla_iss_ros.policies.builtin import FORMAT
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

SIZE = (24, 32)
CAMERAS = ("front", "wrist")
STATE_NAMES = ("hand_x", "hand_y", "hand_z", "gripper")
PATIENCE = 30.0
# Starts an executable whose diagnostics tests need not wait a second for.
OFTEN_TOLD = (str(Path(__file__).with_name("often_told.py")), "{name}")
SECOND = 1_000_000_000


@contextlib.contextmanager
def own_domain():
    """Reserve a ROS domain that no other test on this computer uses, as an int."""
    for number in range(1, 100):
        file = open(Path(tempfile.gettempdir()) / f"vla_iss_ros_test_domain_{number}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        try:
            yield number
        finally:
            file.close()
        return
    raise RuntimeError("no free ROS domain between 1 and 99")


def write_checkpoint(path):
    """Write a tiny random policy and return its path."""
    config = PatchTransformerConfig(
        image_size=16, width=16, heads=2, layers=2, vocabulary=("press", "the", "button")
    )
    torch.manual_seed(0)
    metadata = {"format": FORMAT, "config": json.dumps(config.to_dict())}
    save_file(PatchTransformer(config).state_dict(), path, metadata)
    return path


class Process:
    """One of the package's executables, in a process of its own."""

    def __init__(self, name, log, arguments=(), start=("-m", "vla_iss_ros.nodes.{name}")):
        self.name = name
        self._log = log
        command = [sys.executable, *(part.format(name=name) for part in start), "--ros-args", *arguments]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    @property
    def log(self):
        return self._log.read_text()

    def usage(self):
        """Return (resident memory in MB, threads, open file descriptors)."""
        directory = Path("/proc") / str(self.process.pid)
        rows = dict(line.split(":", 1) for line in (directory / "status").read_text().splitlines())
        memory, threads = (int(rows[key].split()[0]) for key in ("VmRSS", "Threads"))
        return memory / 1024, threads, len(list((directory / "fd").iterdir()))

    def end(self, number=signal.SIGINT):
        """Send a signal and return (exit status, seconds it took)."""
        started = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        return status, time.monotonic() - started

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def parameters(**values):
    """Return command-line arguments that set parameters."""
    arguments = []
    for name, value in values.items():
        text = value if isinstance(value, str) and value.startswith("[") else json.dumps(value)
        arguments += ["-p", f"{name}:={text}"]
    return arguments


class Probe:
    """A node in the test's own process that publishes, listens and waits on conditions."""

    def __init__(self, domain):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node("probe", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publishers = {}
        self._subscriptions = []
        self.diagnostics = {}
        self.listen(DiagnosticArray, "/diagnostics", self._note)

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def until(self, condition, what="the condition", patience=PATIENCE):
        """Serve callbacks until ``condition()`` is truthy, and return that; fails after a long time."""
        end = time.monotonic() + patience
        while not (found := condition()):
            assert time.monotonic() < end, f"{what} did not come true within {patience} s; {self.summary()}"
            self._executor.spin_once(0.02)
        return found

    def summary(self):
        return {name: status.message for name, status in self.diagnostics.items()}

    def _note(self, array):
        for status in array.status:
            self.diagnostics[status.name] = status

    def listen(self, kind, topic, callback, qos=10):
        self._subscriptions.append(self.node.create_subscription(kind, topic, callback, qos))

    def collect(self, kind, topic, qos=10):
        """Return a list that fills with the topic's messages."""
        received = []
        self.listen(kind, topic, received.append, qos)
        return received

    def publisher(self, kind, topic, qos=10):
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        return self._publishers[topic]

    def publish(self, topic, message, qos=10):
        """Publish once somebody listens."""
        publisher = self.publisher(type(message), topic, qos)
        self.until(publisher.get_subscription_count, f"a subscriber of {topic}")
        publisher.publish(message)

    def status(self, name):
        """Return (level, message, values) of a diagnostic status, or None before it came."""
        found = self.diagnostics.get(name)
        if found is None:
            return None
        return found.level[0], found.message, {pair.key: pair.value for pair in found.values}

    def value(self, name, key):
        status = self.status(name)
        return status[2].get(key) if status else None

    def until_status(self, name, text):
        """Wait until a status says ``text``, and return its level."""

        def found():
            status = self.status(name)
            return status if status and text in status[1] else None

        return self.until(found, f"'{text}' in the status '{name}'")[0]

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, f"the answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def set_parameters(self, node, together=False, **values):
        """Set parameters; return the results, or the one result of setting them together."""
        items = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        assert all(isinstance(item, ParameterMessage) for item in items)
        if together:
            request = SetParametersAtomically.Request(parameters=items)
            return self.call(SetParametersAtomically, f"{node}/set_parameters_atomically", request).result
        return self.call(
            SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=items)
        ).results

    def transition(self, node, label):
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(ChangeState, f"{node}/change_state", request).success

    def state(self, node):
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label


def number(probe, node, key):
    """Return a whole number of the node's status ``pipeline``, 0 before it came."""
    return int(probe.value(f"{node}: pipeline", key) or 0)


class Robot:
    """Publishes what a robot would: images, label images, joint states and the instruction."""

    LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)

    size = SIZE

    def __init__(self, probe, node, compressed=False):
        self.probe, self.node, self.compressed = probe, node, compressed
        self.stamp = 100 * SECOND

    def topic(self, name):
        return f"{self.node}/input/{name}"

    def until(self, condition, what="the condition", send=None):
        """Send frames, ten a second, until ``condition()`` is truthy; fails after a long time."""
        end = time.monotonic() + PATIENCE
        while True:
            (send or self.send)()
            with contextlib.suppress(AssertionError):
                return self.probe.until(condition, what, patience=0.1)
            assert time.monotonic() < end, f"{what} did not come true; {self.probe.summary()}"

    def until_explained(self, frames=1, **send):
        """Send frames until the node is done with so many more."""
        before = number(self.probe, self.node, "frames done")

        def explained():
            return number(self.probe, self.node, "frames done") >= before + frames

        self.until(explained, f"{frames} more frames done", lambda: self.send(**send))

    def instruct(self, text="press the button"):
        self.probe.publish(self.topic("instruction"), String(data=text), self.LATCHED)

    def header(self, camera):
        return Header(stamp=stamp_from_nanoseconds(self.stamp, Time), frame_id=f"{camera}_camera")

    def image(self, camera):
        rng = np.random.default_rng(self.stamp)
        pixels = rng.integers(0, 256, (*self.size, 3), np.uint8)
        if self.compressed:
            return encode_compressed_image(pixels, self.header(camera), CompressedImage)
        return encode_image(pixels, self.header(camera), Image, "rgb8")

    def blank(self, camera):
        """Return a grey image, which is quick to make at any size."""
        pixels = np.full((*self.size, 3), 128, np.uint8)
        if self.compressed:
            return encode_compressed_image(pixels, self.header(camera), CompressedImage)
        return encode_image(pixels, self.header(camera), Image, "rgb8")

    def labels(self, camera):
        height, width = self.size
        pixels = np.zeros(self.size, np.uint8)
        cv2.circle(pixels, (height // 2, height // 2), height // 3, 1, -1)
        pixels[:, 5 * width // 8 :] = 2
        return encode_compressed_image(pixels, self.header(camera), CompressedImage, "png")

    def joint_state(self):
        return JointState(header=self.header("hand"), name=list(STATE_NAMES), position=[0.1, 0.2, 0.3, 0.4])

    def send(self, labels=True, **instead):
        """Send one set; ``instead`` replaces the message of a camera or joint_states. Returns the stamp."""
        self.stamp += SECOND // 10
        self.probe.publish(self.topic("joint_states"), instead.get("joint_states") or self.joint_state())
        for camera in CAMERAS:
            if labels:
                self.probe.publish(self.topic(f"{camera}/regions"), self.labels(camera))
        for camera in CAMERAS:
            message = instead.get(camera) or self.image(camera)
            self.probe.publish(self.topic(f"{camera}/image"), message, self.RELIABLE)
        return self.stamp


def stamp_of(message):
    """Return a message's header stamp in ns."""
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec


def environment(domain):
    """Return the variables of a domain on this computer alone."""
    return {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
    }


def apply_environment(domain):
    """Set the variables for this process and those it starts; return what they replaced."""
    before = {name: os.environ.get(name) for name in environment(domain)}
    os.environ.update(environment(domain))
    return before
