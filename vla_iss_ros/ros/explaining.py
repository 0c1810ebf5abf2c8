# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline of iss_node: explain a frame, publish the maps, keep what diagnostics show."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from vla_iss_ros.iss.attributions import make_attributors
from vla_iss_ros.iss.divergences import for_policy
from vla_iss_ros.iss.estimators import REGISTRY
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.iss.lane import refuse_precision
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.stream import Stream
from vla_iss_ros.policies.recorded import Recorded, borrowed_donors
from vla_iss_ros.ros.agreement import TASK as AGREEMENT
from vla_iss_ros.ros.agreement import CommandedActions
from vla_iss_ros.ros.alarms import Alarm
from vla_iss_ros.ros.attribution_outputs import AttributionOutputs
from vla_iss_ros.ros.decoding import Decoder
from vla_iss_ros.ros.diagnostics import Status
from vla_iss_ros.ros.inputs import Frame
from vla_iss_ros.ros.loading import load_fitting_policy
from vla_iss_ros.ros.outputs import Outputs, Result, describe
from vla_iss_ros.ros.pipelines import Waiters
from vla_iss_ros.ros.result_status import judge_nmr, nmr_status
from vla_iss_ros.ros.worker import CancelledError, NotReadyError, one_line


class ExplainingPipeline:
    """Explains frames with one policy; :class:`vla_iss_ros.ros.pipelines.Pipeline` says who calls what."""

    with_labels = True
    tasks = ("NMR", AGREEMENT)

    def __init__(self, node: Any, settings: Any) -> None:
        """Load the policy and the donors; raises ValueError in one line when something is missing."""
        self.policy = load_fitting_policy(settings)
        self._recorded = Recorded.of(self.policy, settings)
        self._borrowed = borrowed_donors(settings) if self._recorded.donors else ""
        if self._borrowed:
            node.get_logger().warning(self._borrowed)
        self.check(settings)
        self._node = node
        self._commands = CommandedActions(node, node.faults, self.policy, settings)
        # Which there are is fixed; they are made anew with the explainer, for its settings.
        self._attributors = make_attributors(self.policy, settings, self._recorded.means)
        self.running = False  # the policy, for a frame that could be used
        cameras = self.policy.spec.camera_names
        try:
            self._outputs = Outputs(node, cameras)
        except Exception:
            self._commands.close()
            raise
        try:
            self._attributions = AttributionOutputs(node, cameras, self._attributors)
        except Exception:
            self._outputs.close()
            self._commands.close()
            raise
        self._explainer: tuple[Any, Explainer] | None = None
        self._stream = Stream()
        self._alarm = Alarm()
        self._lock = threading.Lock()
        self._latest: tuple[Result, dict[str, float], dict[str, int]] | None = None
        self._reset_asked: dict[str, None] = {}  # the reasons, in order
        self.waiters = Waiters()

    def check(self, settings: Any) -> None:
        """Raise ValueError when ``settings`` need donors that were not loaded, or what the policy cannot do."""
        refuse_precision(settings.precision, self.policy.device)
        self._recorded.check(self.policy, settings)
        estimator = REGISTRY[settings.estimator]
        for_policy(settings.divergence, self.policy, estimator.uses_moves)
        if estimator.plan is not None and settings.space == "pixel":
            estimator.plan.check(settings.grid**2 * len(self.policy.spec.camera_names), pictures=1)

    def period(self, settings: Any) -> float:
        """Return the least seconds between two explanations; none where one is asked for."""
        return 0.0 if self.waiters.waiting else float(1 / settings.max_rate)

    def rest(self, settings: Any, busy: float) -> float:
        """Return the pause that keeps the share of working time at the setting duty_cycle, as above."""
        return 0.0 if self.waiters.waiting else float(busy * (1 / settings.duty_cycle - 1))

    def process(self, frame: Frame, decoder: Decoder, settings: Any, check: Callable[[], None]) -> None:
        """Explain ``frame`` and publish the result; do nothing when nobody would hear of it."""
        number = self.waiters.waiting
        listened = self._outputs.wanted() or self._attributions.wanted()
        if not number and not listened and not self._node.count_subscribers("/diagnostics"):
            raise CancelledError
        try:
            result = self._explain(frame, decoder, settings, check, full=number > 0)
        except CancelledError:
            raise
        except NotReadyError:
            raise  # a question waits for the next good frame
        except Exception as error:
            self.waiters.answer(number, False, one_line(error))
            raise
        finally:
            self.running = False
        self.waiters.answer(number, True, describe(result.headline, result.explanation.samples))

    def _explain(
        self, frame: Frame, decoder: Decoder, settings: Any, check: Callable[[], None], full: bool
    ) -> Result:
        self._reset_if_asked()
        started = time.monotonic()
        observation = decoder.observation(frame, settings)
        regions = decoder.regions(frame, observation.images, settings, check)
        decoded = time.monotonic()
        self.running = True
        self._commands.attend(frame)
        explainer, stream = self._explainer_for(settings)
        paused = explainer.pace.paused
        shown: list[Result] = []
        seconds = {"decode": decoded - started}

        def show(explanation: Explanation) -> None:
            began = time.monotonic()
            shown.append(self._judged(frame, observation, regions, explanation, settings))
            self._outputs.publish(shown[0], settings, check)
            published = time.monotonic()
            seconds.update(publish=published - began, latency=published - frame.arrived)

        explanation = explainer.explain(
            observation, regions, stream=stream, full=full, on_map=show, on_run=check
        )
        explained = time.monotonic()
        result = dataclasses.replace(shown[0], explanation=explanation)  # with the effects
        attribute = {
            name: partial(each.explain, observation, regions, on_run=check)
            for name, each in self._attributors.items()
        }
        self._attributions.publish(result, attribute, settings, check)
        attributed = time.monotonic()
        answer = explanation.actions.physical[0].float().cpu().numpy()
        self._commands.compare(answer, frame, observation, settings, check, explainer.pace)
        seconds |= {
            **explanation.seconds,
            "paused": explainer.pace.paused - paused,
            "explain": explained - decoded,
            "attributions": attributed - explained,
            "compare actions": time.monotonic() - attributed,
        }
        with self._lock:
            if not self._reset_asked:  # else it is of before the reset
                self._latest = (result, seconds, dict(self._stream.forgotten))
        return result

    def _judged(
        self,
        frame: Frame,
        observation: Observation,
        regions: RegionMap | None,
        explanation: Explanation,
        settings: Any,
    ) -> Result:
        headline = explanation.ratios[settings.nmr_percent]
        level = judge_nmr(headline, self._alarm, settings)
        return Result(frame, observation, regions, explanation, headline, level)

    def _explainer_for(self, settings: Any) -> tuple[Explainer, Stream | None]:
        if self._explainer is None or self._explainer[0] != settings:
            explainer = self._recorded.explainer(self.policy, settings)
            self._explainer = (settings, explainer)
            means = self._recorded.means
            self._attributors = make_attributors(self.policy, settings, means, explainer.pace)
        return self._explainer[1], self._stream if settings.stream else None

    def reset(self, why: str) -> None:
        """Forget chart, colour scale, stream and the last result before the next frame."""
        with self._lock:
            self._reset_asked[why] = None
            self._latest = None

    def _reset_if_asked(self) -> None:
        with self._lock:
            reasons, self._reset_asked = list(self._reset_asked), {}
        if reasons:
            self._outputs.reset()
            self._attributions.reset()
            self._explainer = None
            self._alarm.reset()
            self._commands.reset()
        for why in reasons:
            self._stream.forget(why)
            self._node.get_logger().info(f"state forgotten: {why}")

    def statuses(self, settings: Any) -> Iterable[Status]:
        """Return the diagnostics of NMR and of the policy's agreement."""
        with self._lock:
            latest = self._latest
        result, seconds, forgotten = latest if latest else (None, {}, {})
        status = nmr_status(result, seconds, settings, forgotten)
        yield dataclasses.replace(status, values={**status.values, **self._origins(result, settings)})
        yield self._commands.status()

    def _origins(self, result: Result | None, settings: Any) -> dict[str, Any]:
        """Return where the images of a result came from, and what they were replaced by."""
        if result is None:
            return {}
        donors = settings.donors or ("of the samples" if self._recorded.donors else "none")
        return {"donors": donors, "cameras stood in for": ", ".join(sorted(result.frame.stood_in)) or "none"}

    def close(self) -> None:
        """Destroy the publishers."""
        self._outputs.close()
        self._attributions.close()
        self._commands.close()
