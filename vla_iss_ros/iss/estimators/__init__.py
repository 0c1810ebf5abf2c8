"""From interventions and divergences to a saliency per cell with its standard error."""

from collections.abc import Callable, Mapping

from torch import Tensor

from vla_iss_ros.iss.estimators.arms import Hajek, HorvitzThompson
from vla_iss_ros.iss.estimators.interface import Estimate, Estimator
from vla_iss_ros.iss.estimators.regression_adjusted import RegressionAdjusted
from vla_iss_ros.iss.estimators.spatial import Spatial
from vla_iss_ros.iss.estimators.surrogate import Surrogate

# Each takes the probability of replacement, whether samples are independent, the cells' positions [C, 3] and how far
# their pixels change [C].
REGISTRY: Mapping[str, Callable[[float, bool, Tensor | None, Tensor | None], Estimator]] = {
    "hajek": Hajek,
    "horvitz_thompson": HorvitzThompson,
    "regression_adjusted": RegressionAdjusted,
    "spatial": Spatial,
    "surrogate": Surrogate,
}

__all__ = ["REGISTRY", "Estimate", "Estimator"]
