# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy as openpi's: ``infer(observation, noise=...)``. What it acts by is known, and its prompt makes it fail.

The action (2 steps of 3 numbers) is the mean red of the top left quarter of ``observation/image``, plus a tenth of the
first number of the state, plus a tenth of the noise.
"""

import os
import threading

import numpy as np


class StandIn:
    @property
    def metadata(self):
        return {"robot": "stand-in"}

    def __init__(self, seed=0, scale=0.1):
        self._generator, self._scale = np.random.default_rng(seed), scale
        self.runs = 0

    def infer(self, observation, *, noise=None):
        self.runs += 1
        image, state = observation["observation/image"], observation["observation/state"]
        assert image.dtype == np.uint8
        assert image.shape == observation["observation/wrist_image"].shape == (224, 224, 3)
        assert state.shape == (8,)
        if noise is None:
            noise = self._generator.standard_normal((2, 4)).astype(np.float32)
        assert noise.shape == (2, 4)
        seen = image[:112, :112, 0].mean() / 255 + 0.1 * state[0]
        actions = (seen + self._scale * noise[:, :3]).astype(np.float32)
        image[:] = 0  # as openpi's transforms may
        return {"actions": self._broken(actions, observation["prompt"]), "state": state}

    def _broken(self, actions, prompt):
        if prompt == "nan":
            actions[0, 0] = np.nan
        elif prompt == "short":
            return actions[:1]
        elif prompt == "integers":
            return actions.astype(np.int64)
        elif prompt == "raise":
            raise KeyError("camera")
        elif prompt == "memory":
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        elif prompt == "silent":
            threading.Event().wait(30)
        elif prompt == "die":
            os._exit(1)
        return actions


class InBatches(StandIn):
    """The same with ``infer_batch``."""

    def infer_batch(self, observations, *, noise):
        assert noise.shape == (len(observations), 2, 4)
        rows = [self.infer(one, noise=row) for one, row in zip(observations, noise, strict=True)]
        return {"actions": np.stack([row["actions"] for row in rows])}


class Plain:
    """A deterministic policy without noise."""

    def infer(self, observation):
        return StandIn(scale=0.0).infer(observation)


class OfTwoCameras:
    """For cameras front and wrist, a state of 4 numbers and 4 actions: the mean red of front, plus noise."""

    def infer(self, observation, *, noise=None):
        assert observation["wrist"].shape == (32, 32, 3)
        assert observation["state"].shape == (4,)
        noise = np.random.default_rng().standard_normal((2, 4)) if noise is None else noise
        return {"actions": (observation["front"][..., 0].mean() / 255 + 0.1 * noise).astype(np.float32)}


def load_cameras():
    return OfTwoCameras()


def load():
    return StandIn()


def load_batches():
    return InBatches()


def load_plain():
    return Plain()


def load_nothing():
    return None
