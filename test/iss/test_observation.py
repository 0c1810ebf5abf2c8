# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from vla_iss_ros.iss.observation import Actions, Observation


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.float32), np.zeros((0, 2, 3), np.uint8)]
)
def test_images_are_checked(image):
    with pytest.raises(ValueError, match=r"camera 'front' must be uint8 \[H, W, 3\] and not empty"):
        Observation({"front": image})


def test_state_must_be_finite():
    with pytest.raises(ValueError, match="state must be finite"):
        Observation({}, state=np.array([0.0, np.nan]))


def test_actions_must_be_finite():
    broken = Actions(torch.full((1, 1, 1), float("inf")), torch.zeros(1, 1, 1))
    with pytest.raises(ValueError, match="1 actions that are not finite"):
        broken.require_finite()
