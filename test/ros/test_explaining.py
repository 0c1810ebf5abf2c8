from types import SimpleNamespace

import pytest
import torch

from vla_iss_ros import settings
from vla_iss_ros.ros.explaining import ExplainingPipeline


@pytest.mark.parametrize(
    ("values", "donors", "message"),
    [
        ({"precision": "tf32"}, [1], "precision tf32 needs a CUDA device and the policy is on cpu"),
        (
            {"composite_resolution": "camera"},
            [1],
            "needs a policy with a method resize and SimpleNamespace has none",
        ),
        ({}, [], "baseline donor needs recorded frames and none are loaded"),
    ],
)
def test_settings_that_the_policy_cannot_follow_are_refused_when_they_are_set(values, donors, message):
    pipeline = SimpleNamespace(policy=SimpleNamespace(device=torch.device("cpu")), _donors=donors)
    with pytest.raises(ValueError, match=message):
        ExplainingPipeline.check(pipeline, settings.check(values))
    ExplainingPipeline.check(pipeline, settings.check({"baseline": "blur"}))
