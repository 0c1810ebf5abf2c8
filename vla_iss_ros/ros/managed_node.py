# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that runs a policy on the newest frames: the frame around iss_node and policy_node."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from vla_iss_ros.policies.errors import MissingInstructionError
from vla_iss_ros.ros.clock_watch import ClockWatch
from vla_iss_ros.ros.decoding import Decoder
from vla_iss_ros.ros.diagnostics import WARN, Diagnostics, Status
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.inputs import Frame, Inputs
from vla_iss_ros.ros.parameters import Parameters
from vla_iss_ros.ros.pipeline_status import NodeState, node_statuses
from vla_iss_ros.ros.pipelines import Pipeline
from vla_iss_ros.ros.worker import BadMessageError, LatestSlot, NotReadyError, Progress, Worker, one_line
from vla_iss_ros.settings import Setting

STOP_SECONDS = 1.0
CONFIGURED = ("inactive", "active")
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ManagedNode(LifecycleNodeMixin, Node):
    """Configure: load the policy, subscribe, advertise. Activate: let the worker have frames.

    Lifecycle services, inputs and diagnostics have callback groups of their own, and the policy runs in the
    worker's thread, so that each answers while the others are busy. A failed configuration leaves the node
    unconfigured with the reason in the log and in /diagnostics; with ``autostart`` it tries again when a
    parameter changes.
    """

    def __init__(self, name: str, settings: Sequence[Setting], make_pipeline: Any) -> None:
        """Declare ``settings``; ``make_pipeline``: the pipeline's class, made with node and Settings."""
        Node.__init__(self, name)
        self._lifecycle_group = MutuallyExclusiveCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self._lifecycle_group)
        self.faults = Faults(self.get_logger())
        self._make_pipeline = make_pipeline
        self._fixed = [setting.name for setting in settings if setting.fixed]
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._progress = Progress()
        self._pipeline: Pipeline | None = None
        self._inputs: Inputs | None = None
        self._worker: Worker[Frame] | None = None
        self._lifecycle, self._problem = "unconfigured", ""
        self._settings: Any = None
        self._declared = Parameters(
            self, settings, lambda: self._lifecycle in CONFIGURED, self._refuse, self._changed
        )
        self._clock_watch = ClockWatch(self, self._clock_jumped)
        self._diagnostics = Diagnostics(self, self._statuses)
        self._starting = self.create_guard_condition(
            self._start_by_itself, callback_group=self._lifecycle_group
        )
        self._start_wanted = self.get_parameter("autostart").value is True
        if self._start_wanted:
            self._starting.trigger()

    def end_with(self, requested: threading.Event) -> None:
        """Nothing ends this node but ``requested``."""

    @property
    def settings(self) -> Any:
        """The settings of the present configuration, or None."""
        return self._settings

    @property
    def pipeline(self) -> Any:
        """The pipeline of the present configuration, or None."""
        return self._pipeline

    @property
    def is_active(self) -> bool:
        """Whether frames are worked on."""
        return self._worker is not None

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the policy and open the topics; on failure say why in one line and stay unconfigured."""
        self._lifecycle = "configuring"
        try:
            self._configure()
        except Exception as error:
            self._problem, self._lifecycle = one_line(error), "unconfigured"
            self._discard()
            self.get_logger().error(f"not configured: {self._problem}")
            self._diagnostics.publish()
            return FAILURE
        self._problem, self._lifecycle, self._start_wanted = "", "inactive", False
        return super().on_configure(state)

    def _configure(self) -> None:
        settings = self._declared.read()
        self._progress.problem, self._progress.broken = "", False
        self._slot.clear()
        self._settings = settings
        self._pipeline = self._make_pipeline(self, settings)
        self._inputs = Inputs(
            self, settings, self.faults, self._slot, self._stamps_jumped, self._pipeline.with_labels
        )
        self._settings = self._declared.read()
        if any(getattr(settings, name) != getattr(self._settings, name) for name in self._fixed):
            raise ValueError(
                "a fixed parameter changed while the policy was loading; configure the node again"
            )
        spec = self._pipeline.policy.spec
        device, cameras = self._pipeline.policy.device, ", ".join(settings.cameras)
        self.get_logger().info(f"configured: policy '{spec.name}' on {device}, cameras {cameras}")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let frames in and start the worker."""
        assert self._inputs is not None
        result = super().on_activate(state)
        self._slot.clear()
        self._worker = Worker(
            self._slot, self._work, self._period, self._rest, self._on_problem, self._progress
        )
        self._worker.start()
        self._inputs.enabled = True
        self._lifecycle = "active"
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the worker; results are published no more."""
        self._stop_worker()
        self._lifecycle = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the topics and let the policy go."""
        self._discard()
        self._lifecycle = "unconfigured"
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and let everything go, from whatever state."""
        self._discard()
        self._lifecycle = "finalized"
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an error in a transition let everything go, so that the node can be configured again."""
        self._discard()
        self._lifecycle = "unconfigured"
        return SUCCESS

    def close(self) -> None:
        """End the worker and the topics, before the context is shut down."""
        self._discard()

    def _discard(self) -> None:
        self._stop_worker()
        if self._inputs is not None:
            self._inputs.close()
        if self._pipeline is not None:
            self._pipeline.close()
        self._inputs, self._pipeline, self._settings = None, None, None

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if self._inputs is not None:
            self._inputs.enabled = False
        if worker is not None and not worker.stop(STOP_SECONDS):
            # That thread goes on writing to the old one.
            self._progress = dataclasses.replace(
                self._progress, busy_since=float("nan"), beat_at=float("nan")
            )
            self.get_logger().error("the policy does not return; its thread is left behind")

    def _start_by_itself(self) -> None:
        """Configure and activate; a parameter's change tries again after a failure."""
        wanted = self._start_wanted and self._lifecycle == "unconfigured"
        if wanted and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _refuse(self, settings: Any) -> None:
        if self._pipeline is not None:
            self._pipeline.check(settings)

    def _changed(self, settings: Any) -> None:
        if self._settings is not None:
            self._settings = settings
        if self._start_wanted and self._lifecycle not in CONFIGURED:
            self._starting.trigger()  # heard once the policy that is loading has failed or come

    def _work(self, frame: Frame, check: Callable[[], None]) -> None:
        pipeline, inputs, settings = self._pipeline, self._inputs, self._settings
        if pipeline is None or inputs is None:
            return
        decoder = Decoder(inputs, self.faults, bool(pipeline.policy.spec.state_names))
        try:
            pipeline.process(frame, decoder, settings, check)
        except MissingInstructionError as error:
            # It may still be on its way, or be up to the operator: nothing is broken.
            raise NotReadyError(str(error)) from error

    def _period(self) -> float:
        pipeline, settings = self._pipeline, self._settings
        return pipeline.period(settings) if pipeline is not None and settings is not None else 1.0

    def _rest(self, busy: float) -> float:
        pipeline, settings = self._pipeline, self._settings
        return pipeline.rest(settings, busy) if pipeline is not None and settings is not None else 0.0

    def _on_problem(self, error: Exception, line: str) -> None:
        if isinstance(error, BadMessageError):
            return
        kind = type(error).__name__
        if isinstance(error, NotReadyError):
            self.faults.log(kind, f"frame left out: {line}")
        else:
            self.faults.log(kind, f"frame failed: {line}", error=True)

    def _stamps_jumped(self, seconds: float) -> None:
        if self._pipeline is not None:
            self.get_logger().info(f"the images' stamps went back by {seconds:.1f} s")
            self._pipeline.reset("the images' stamps went back")

    def _clock_jumped(self, seconds: float) -> None:
        self.get_logger().info(f"the clock went back by {seconds:.1f} s, as when a bag starts again")
        self._slot.clear()
        if self._pipeline is not None:
            self._pipeline.reset("the clock went back")

    def _statuses(self) -> Iterable[Status]:
        pipeline, settings = self._pipeline, self._settings
        state = NodeState(
            lifecycle=self._lifecycle,
            problem=self._problem,
            cameras=self.get_parameter("cameras").value,
            settings=settings,
            policy=pipeline.policy.spec.name if pipeline else "",
            inputs=self._inputs,
            slot=self._slot,
            progress=self._progress,
            faults=self.faults,
            device=pipeline.policy.device if pipeline else None,
            clock_jumps=self._clock_watch.count,
            clock_jump_seconds=self._clock_watch.seconds if self._clock_watch.count else math.nan,
        )
        yield from node_statuses(state)
        if pipeline is not None and settings is not None:
            yield from pipeline.statuses(settings)
        else:
            yield from (Status(task, WARN, "not configured") for task in self._make_pipeline.tasks)
