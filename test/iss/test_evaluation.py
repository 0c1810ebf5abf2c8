import pytest
import torch
from toys import ToyPolicy

from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.divergences import action_mse
from vla_iss_ros.iss.evaluation import BatchLimit, Evaluator
from vla_iss_ros.iss.observation import Prepared

# One view of one cell, so that a replaced cell changes every pixel: 0.2 becomes 0.6 (picture 0) or 0.7 (picture 1).
IMAGE = torch.full((1, 3, 2, 2), 0.2)
PICTURES = torch.tensor([0.6, 0.7]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
REPLACED = torch.tensor([[True], [False], [True], [True], [True]])
CHOSEN = torch.tensor([0, 1, 1, 0, 1])
MOVES = torch.tensor([0.4, 0.0, 0.5, 0.4, 0.5])


def means(images: torch.Tensor) -> torch.Tensor:
    return images.mean((1, 2, 3, 4))[:, None, None].expand(-1, 1, 2)


def evaluator(policy: ToyPolicy, rows: int = 64) -> Evaluator:
    base = Prepared({"front": IMAGE})
    return Evaluator(
        policy,
        base,
        CellGrid.over(base, 1),
        {"front": PICTURES},
        policy.sample_noise(torch.Generator().manual_seed(0)),
        quantise=False,
        divergence=action_mse,
        limit=BatchLimit(rows),
    )


@pytest.mark.parametrize("rows", [2, 3, 64])
def test_divergences_and_moves_by_hand(rows):
    delta, moves = evaluator(ToyPolicy(means, ("front",)), rows).measure(REPLACED, CHOSEN, True)
    assert delta.dtype == torch.float64
    assert moves.dtype == torch.float32
    torch.testing.assert_close(delta, MOVES.double() ** 2, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(moves, MOVES[:, None].expand(-1, 2), rtol=1e-5, atol=1e-7)


def test_moves_only_when_asked_for():
    assert evaluator(ToyPolicy(means, ("front",))).measure(REPLACED, CHOSEN, False)[1] is None


def test_rows_are_counted_and_the_reference_is_one_of_them():
    policy = ToyPolicy(means, ("front",))
    running = evaluator(policy, 6)
    assert running.reference.normalised[0, 0].tolist() == pytest.approx([0.2, 0.2])
    running.measure(REPLACED, CHOSEN, False)
    assert policy.batches == [1, 6]
    assert running.rows == 7
    assert running.seconds > 0
