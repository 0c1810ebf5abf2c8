# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.observing import camera_pixels, require_instruction, state_row, word_indices

CPU = torch.device("cpu")
SEEN = Observation(
    {"a": np.full((2, 3, 3), 51, np.uint8)}, "Lift the CUP", np.array([1, 2], np.float32), stamp=0
)


def test_pixels_are_shares_of_white():
    pixels = camera_pixels(SEEN, ["a"], CPU)
    torch.testing.assert_close(pixels, {"a": torch.full((1, 3, 2, 3), 0.2)})
    with pytest.raises(ValueError, match=r"needs camera 'b', got \['a'\]"):
        camera_pixels(SEEN, ["a", "b"], CPU)


def test_state_must_have_the_policys_size():
    assert state_row(SEEN, ["x", "y"], CPU).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=r"state of 1 numbers \['x'\], got \[2\]"):
        state_row(SEEN, ["x"], CPU)


def test_words():
    assert word_indices(" Lift the CUP ", ["cup", "lift"], 4).tolist() == [3, 1, 2, 0]
    assert word_indices("cup " * 9, ["cup"], 2).tolist() == [2, 2]


def test_an_instruction_is_needed():
    require_instruction(SEEN)
    with pytest.raises(ValueError, match="instruction is empty"):
        require_instruction(Observation({}, " \n"))
