"""How far an action distribution moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from vla_iss_ros.iss.observation import Actions

Divergence = Callable[[Actions, Tensor], Tensor]


def action_mse(actions: Actions, reference: Tensor) -> Tensor:
    """Return the mean squared difference over steps and action dimensions, float32 [N].

    ``reference`` [1, T, A] is the normalised answer to the unperturbed observation. Up to a constant it is the KL
    divergence of two isotropic Gaussians of one fixed variance; it says nothing of where the robot ends up.
    """
    return (actions.normalised - reference).square().mean((1, 2))


REGISTRY: Mapping[str, Divergence] = {"action_mse": action_mse}
