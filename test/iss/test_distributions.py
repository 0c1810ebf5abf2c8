# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from vla_iss_ros.iss.distributions import DenoisingMeans, Gaussian, Velocities, euler_widths


def test_euler_steps_stand_for_the_whole_interval():
    times = torch.tensor([1.0, 0.7, 0.2])
    torch.testing.assert_close(euler_widths(times), torch.tensor([0.3, 0.5, 0.2]))


def test_distributions_say_what_does_not_fit():
    values = torch.zeros(2, 3, 1, 1)
    times = torch.tensor([1.0, 0.5, 0.0])
    with pytest.raises(ValueError, match=r"times must be in \(0, 1\], got \[1.0, 0.5, 0.0\]"):
        Velocities(values, times, times)
    with pytest.raises(ValueError, match=r"must be \[3\], got \[2\] and \[3\]"):
        Velocities(values, times[:2], times)
    with pytest.raises(ValueError, match=r"variances must be \[3\] and above 0, .* draw no noise"):
        DenoisingMeans(values, times)
    with pytest.raises(ValueError, match=r"one shape, got \[2\] and \[3\]"):
        Gaussian(torch.zeros(2), torch.ones(3))
