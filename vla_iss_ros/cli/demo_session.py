# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The demo's processes: nodes of one policy in one ROS domain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

READY_TEXT = "configured: policy"
FAILED_TEXT = "not configured:"
READY_SECONDS = 90.0
POLL_SECONDS = 0.1
STOP_SECONDS = 25.0  # output_recorder writes its index at the end
TAIL_LINES = 8
# Ports of a domain's discovery: DDSI-RTPS 2.5, section 9.6.1. Domains above 101 can run into ephemeral ports.
FIRST_PORT, PORTS_PER_DOMAIN, DOMAINS = 7400, 250, 101


class NodeError(RuntimeError):
    """A node ended or never got ready; names it and gives its last log lines."""


def free_domains(count: int) -> list[int]:
    """Return ROS domain ids that nobody on this computer uses; raises NodeError when too few are free."""
    start = os.getpid()
    found: list[int] = []
    for offset in range(DOMAINS):
        domain = 1 + (start + offset) % DOMAINS
        if _is_free(domain):
            found.append(domain)
        if len(found) == count:
            return found
    raise NodeError(
        f"the demo needs {count} ROS domains that nobody uses, found {len(found)} on this computer"
    )


def _is_free(domain: int) -> bool:
    """Tell whether the port of the first participant of a domain can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", FIRST_PORT + PORTS_PER_DOMAIN * domain + 10))
        except OSError:
            return False
    return True


def tail(log: Path) -> str:
    """Return the last lines of a node's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL_LINES:]
    return "\n".join(["its last lines:", *(lines or ["(it wrote nothing)"])])


class Process:
    """One node in a process of its own, its output in a log file."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        with log.open("wb") as output:
            # A process group of its own: Ctrl-C reaches the demo alone, which ends its nodes in order.
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def text(self) -> str:
        """Return all that it has written."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def error(self, what: str) -> NodeError:
        """Return an error about this node with its last lines."""
        return NodeError(f"{self.name} {what}; {tail(self.log)}")

    def require_alive(self) -> None:
        """Raise NodeError when it has ended."""
        if self.status is not None:
            raise self.error(f"ended with status {self.status}")

    def interrupt(self) -> None:
        """Ask it to end."""
        if self.status is None:
            self._process.send_signal(signal.SIGINT)

    def finish(self) -> None:
        """Wait for its end; kill it when it does not."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Session:
    """The nodes of one policy; a context manager that leaves no process behind."""

    def __init__(self, name: str, domain: int, threads: int, logs: Path) -> None:
        """Prepare; ``threads`` is what each node may use for arithmetic, ``logs`` an existing directory."""
        self.name, self._logs = name, logs
        self._environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "OMP_NUM_THREADS": str(threads),
            "PYTHONUNBUFFERED": "1",
        }
        self._nodes: list[Process] = []

    def start(self, name: str, arguments: Sequence[str]) -> Process:
        """Start one node; it is ended with the session."""
        command = [sys.executable, "-m", f"vla_iss_ros.nodes.{name}", "--ros-args", *arguments]
        return self.adopt(Process(name, command, self._logs / f"{self.name}.{name}.log", self._environment))

    def adopt(self, process: Process) -> Process:
        """Take care of ``process`` until the session's end."""
        self._nodes.append(process)
        return process

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
        """Wait for ``condition``; raises NodeError when a node has ended, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.require_alive()
            if time.monotonic() > deadline:
                raise NodeError(
                    f"{self.name}: {what} did not happen within {seconds:.0f} s; logs in {self._logs}"
                )
            time.sleep(POLL_SECONDS)

    def wait_until_configured(self, process: Process) -> None:
        """Wait until a lifecycle node has loaded its policy; raises NodeError when it says that it cannot."""

        def configured() -> bool:
            text = process.text()
            if FAILED_TEXT in text:
                raise process.error("could not be configured")
            return READY_TEXT in text

        self.wait_until(configured, f"{process.name} getting ready")

    def require_alive(self) -> None:
        """Raise NodeError when a node has ended; players may end with status 0."""
        for node in self._nodes:
            if node.status is not None and not (node.name == "bag_player" and node.status == 0):
                node.require_alive()

    def stop(self, *names: str) -> None:
        """End the named nodes, or all of them."""
        chosen = [node for node in self._nodes if not names or node.name in names]
        for node in chosen:
            node.interrupt()
        for node in chosen:
            node.finish()
        self._nodes = [node for node in self._nodes if node not in chosen]

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is KeyboardInterrupt:
            # The processes end now; a second Ctrl-C would leave some of them behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.stop()
