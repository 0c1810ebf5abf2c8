# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node that explains a policy: the managed node with an explaining pipeline and two services."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger

from vla_iss_ros.ros.explaining import ExplainingPipeline
from vla_iss_ros.ros.managed_node import ManagedNode
from vla_iss_ros.settings import ALL

EXPLAIN_TIMEOUT = 30.0


class IssNode(ManagedNode):
    """Explains the newest frame, again and again."""

    def __init__(self) -> None:
        self._ending = False
        super().__init__("iss_node", ALL, ExplainingPipeline)
        self.create_service(
            Trigger, "~/explain", self._explain, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self.create_service(Trigger, "~/reset", self._reset, callback_group=MutuallyExclusiveCallbackGroup())

    def close(self) -> None:
        """End the worker and let waiting services answer."""
        self._ending = True
        super().close()

    def _explain(self, request: Any, response: Any) -> Any:
        """Explain the next frame at full N without a time budget or a pause before, and answer when it is done."""
        pipeline = self.pipeline
        if pipeline is None or not self.is_active:
            response.success, response.message = False, "the node is not active"
            return response
        response.success, response.message = pipeline.waiters.ask(
            EXPLAIN_TIMEOUT,
            lambda: self._ending or self.pipeline is not pipeline or not self.is_active,
            self._is_answering,
        )
        return response

    def _is_answering(self) -> bool:
        """Return whether the policy is at work on a frame, and has answered of late."""
        pipeline, settings, beat = self.pipeline, self.settings, self._progress.beat_at
        at_work = pipeline is not None and settings is not None and pipeline.running
        return at_work and time.monotonic() - beat < settings.hang_timeout

    def _reset(self, request: Any, response: Any) -> Any:
        """Forget what frames left: the stream, the chart, the colour scale and the last result."""
        pipeline = self.pipeline
        if pipeline is None:
            response.success, response.message = False, "the node is not configured"
            return response
        pipeline.reset("asked by ~/reset")
        response.success, response.message = True, "stream, chart, colour scale and last result are forgotten"
        return response
