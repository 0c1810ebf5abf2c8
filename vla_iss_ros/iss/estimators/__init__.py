"""From interventions and divergences to a saliency per cell with its standard error."""

from collections.abc import Mapping

from vla_iss_ros.iss.estimators.arms import Hajek, HorvitzThompson
from vla_iss_ros.iss.estimators.interface import Estimate, Estimator
from vla_iss_ros.iss.estimators.spatial import Spatial

REGISTRY: Mapping[str, type[Hajek] | type[HorvitzThompson] | type[Spatial]] = {
    "hajek": Hajek,
    "horvitz_thompson": HorvitzThompson,
    "spatial": Spatial,
}

__all__ = ["REGISTRY", "Estimate", "Estimator", "Hajek", "HorvitzThompson", "Spatial"]
