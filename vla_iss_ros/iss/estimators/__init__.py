# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From interventions and divergences to a saliency per cell with its standard error."""

from collections.abc import Mapping

from vla_iss_ros.iss.estimators.arms import Hajek, HorvitzThompson
from vla_iss_ros.iss.estimators.emulator import Emulator
from vla_iss_ros.iss.estimators.exact import Exact
from vla_iss_ros.iss.estimators.interface import Estimate, Estimator
from vla_iss_ros.iss.estimators.leave_one_out import LeaveOneOut
from vla_iss_ros.iss.estimators.memory import Memory
from vla_iss_ros.iss.estimators.regression_adjusted import RegressionAdjusted
from vla_iss_ros.iss.estimators.spatial import Spatial
from vla_iss_ros.iss.estimators.surrogate import Surrogate

REGISTRY: Mapping[str, type[Estimator]] = {
    "emulator": Emulator,
    "exact": Exact,
    "hajek": Hajek,
    "horvitz_thompson": HorvitzThompson,
    "leave_one_out": LeaveOneOut,
    "regression_adjusted": RegressionAdjusted,
    "spatial": Spatial,
    "surrogate": Surrogate,
}

__all__ = ["REGISTRY", "Estimate", "Estimator", "Memory"]
