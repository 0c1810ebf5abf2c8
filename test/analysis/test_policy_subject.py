# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from checked_policy import CheckedPolicy, see

from vla_iss_ros.analysis.policy_subject import Subject, largest


def subject(frames=(0, 1)):
    return Subject(CheckedPolicy(), [see(seed) for seed in frames], 1e-3, lambda: 0.0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_variants_begin_with_the_frame_and_do_not_depend_on_their_number(count):
    made = subject()
    rows = made.variants(count)["front"]
    assert torch.equal(rows[:1], made.base.images["front"])
    assert torch.equal(rows, made.variants(33)["front"][:count])
    assert len({round(float(row.mean()), 6) for row in rows}) == count


def test_other_pictures_are_of_the_last_frame_or_negatives():
    first = see(0)
    other = subject().others()
    assert (other.images["front"] == see(1).images["front"]).all()
    assert other.instruction == first.instruction
    assert (subject((0,)).others().images["wrist"] == 255 - first.images["wrist"]).all()


def test_largest_difference_keeps_nan():
    assert largest(torch.tensor([1.0, -3.0]), torch.tensor([[2.0]])) == 3
    assert math.isnan(largest(torch.tensor([1.0]), torch.tensor([math.nan])))


def test_nan_is_not_within_the_tolerance():
    assert subject().compared("c", math.nan, "mend it").status == "FAIL"
    assert subject().compared("c", 1e-3, "mend it").status == "pass"
    assert subject().compared("c", 2e-3, "mend it").remedy == "mend it"
