# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest

from vla_iss_ros import settings
from vla_iss_ros.policies.recorded import borrowed_donors


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({}, False),
        ({"policy": "builtin:mine.safetensors"}, False),
        ({"policy": "exported:mine"}, True),
        ({"policy": "exported:mine", "donors": "gathered"}, False),
        ({"policy": "exported:mine", "baseline": "blur"}, True),
        ({"policy": "exported:mine", "baseline": "blur", "effects": False}, False),
        ({"policy": "exported:mine", "space": "token", "effects": False}, False),
    ],
)
def test_a_policy_of_another_origin_is_not_given_the_samples_frames_in_silence(values, warned):
    warning = borrowed_donors(settings.check(values))
    assert ("set donors to a directory made by gather_donors" in warning) == warned
