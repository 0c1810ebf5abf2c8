# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import threading
from concurrent.futures import Future

import pytest
import torch
from toys import ToyPolicy

from vla_iss_ros import settings
from vla_iss_ros.iss.blocks import Block
from vla_iss_ros.iss.canvas import Canvas
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.divergences import REGISTRY
from vla_iss_ros.iss.evaluation import Evaluator, Resources, out_of_memory
from vla_iss_ros.iss.lane import PlainLane
from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.iss.subjects import Pixels, SharedRun

# One view of one cell, so that a replaced cell changes every pixel: 0.2 becomes 0.6 (picture 0) or 0.7 (picture 1).
IMAGE = torch.full((1, 3, 2, 2), 0.2)
PICTURES = torch.tensor([0.6, 0.7]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
REPLACED = torch.tensor([[True], [False], [True], [True], [True]])
CHOSEN = torch.tensor([0, 1, 1, 0, 1])
MOVES = torch.tensor([0.4, 0.0, 0.5, 0.4, 0.5])


def means(images: torch.Tensor) -> torch.Tensor:
    return images.mean((1, 2, 3, 4))[:, None, None].expand(-1, 1, 2)


def evaluator(policy: ToyPolicy, rows: int = 64, precision: str = "float32") -> Evaluator:
    base = Prepared({"front": IMAGE})
    canvas = Canvas(base.images, {"front": PICTURES}, CellGrid.over(base, 1), quantise=False)
    resources = Resources.of(policy, settings.check({"batch_size": rows, "precision": precision}))
    noise = policy.sample_noise(torch.Generator().manual_seed(0))
    subject = Pixels(base, canvas, CellGrid.over(base, 1), {"front": PICTURES})
    return Evaluator(subject, SharedRun(policy, noise), REGISTRY["action_mse"], resources)


@pytest.mark.parametrize("rows", [2, 3, 64])
def test_divergences_and_moves_by_hand(rows):
    delta, moves = evaluator(ToyPolicy(means, ("front",)), rows).measure(REPLACED, CHOSEN, True)
    assert delta.dtype == torch.float64
    assert moves.dtype == torch.float32
    torch.testing.assert_close(delta, MOVES.double() ** 2, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(moves, MOVES[:, None].expand(-1, 2), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rows", [2, 3, 64])
def test_what_is_known_to_follow_changes_no_result(rows):
    alone, ahead = (evaluator(ToyPolicy(means, ("front",)), rows) for _ in range(2))
    flipped, coming = (~REPLACED, CHOSEN), Future()
    coming.set_result(Block(*flipped, may_stop=False))
    expected = [alone.measure(REPLACED, CHOSEN, True), alone.measure(*flipped, True)]
    found = [ahead.measure(REPLACED, CHOSEN, True, coming), ahead.measure(*flipped, True)]
    for (delta, moves), (other_delta, other_moves) in zip(expected, found, strict=True):
        assert torch.equal(delta, other_delta)
        assert torch.equal(moves, other_moves)
    assert ahead.rows == alone.rows


def test_memory_that_lacks_only_while_the_policy_runs_costs_no_rows(monkeypatch):
    """What cannot be painted ahead is painted in turn, and the batch keeps its size."""
    paint = Pixels.variants

    def only_in_turn(self, replaced, chosen):
        if threading.current_thread() is not threading.main_thread():
            raise torch.cuda.OutOfMemoryError("out of memory")
        return paint(self, replaced, chosen)

    expected = evaluator(ToyPolicy(means, ("front",)), 3).measure(REPLACED, CHOSEN, True)
    monkeypatch.setattr(Pixels, "variants", only_in_turn)
    policy = ToyPolicy(means, ("front",))
    found = evaluator(policy, 3).measure(REPLACED, CHOSEN, True)
    assert torch.equal(found[0], expected[0])
    assert policy.batches == [1, 3, 3, 3]


def test_a_batch_painted_ahead_for_nothing_does_not_halve_the_next(monkeypatch):
    """The policy lacks memory for 6 rows, and has it for the 3 that are tried next, whatever was painted meanwhile."""
    paint = Pixels.variants

    def hungry(images):
        if len(images) > 3:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return means(images)

    def little_beside(self, replaced, chosen):
        if threading.current_thread() is not threading.main_thread():
            raise torch.cuda.OutOfMemoryError("out of memory")
        return paint(self, replaced, chosen)

    monkeypatch.setattr(Pixels, "variants", little_beside)
    coming, policy = Future(), ToyPolicy(hungry, ("front",))
    coming.set_result(Block(~REPLACED, CHOSEN, may_stop=False))
    delta, _ = evaluator(policy, 6).measure(REPLACED, CHOSEN, False, coming)
    torch.testing.assert_close(delta, MOVES.double() ** 2, rtol=1e-5, atol=1e-12)
    assert policy.batches == [1, 6, 3, 3, 3]


def test_seconds_by_now_hold_a_run_that_is_under_way():
    seen = []

    def spy(images):
        seen.append((running[0].seconds, running[0].seconds_by_now()) if running else (0.0, 0.0))
        return means(images)

    running = []
    running.append(evaluator(ToyPolicy(spy, ("front",))))
    running[0].measure(REPLACED, CHOSEN, False)
    (finished, by_now) = seen[-1]
    assert by_now > finished > 0
    assert running[0].seconds_by_now() == running[0].seconds > by_now - finished


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


@pytest.mark.parametrize(("rows", "batches"), [(2, [2] * 5), (3, [3] * 3), (4, [4, 4]), (6, [6])])
def test_every_batch_of_a_block_has_the_same_number_of_rows(rows, batches):
    policy = ToyPolicy(means, ("front",))
    running = evaluator(policy, rows)
    delta, moves = running.measure(REPLACED, CHOSEN, True)
    assert policy.batches == [1, *batches]
    assert running.rows == 1 + sum(batches)
    assert len(delta) == len(moves) == 5


@pytest.mark.parametrize("rows", [2, 3, 64])
def test_noise_floor_is_the_largest_divergence_of_row_zero(rows):
    running = evaluator(ToyPolicy(means, ("front",)), rows)
    drift = iter([0.25, 0.5, 0.25, 0.25, 0.25])
    steady = running._shared.policy.function
    shifts = []

    def drifting(images):
        shifts.append(next(drift))
        return steady(images) + shifts[-1]

    running._shared.policy.function = drifting
    delta, _ = running.measure(REPLACED, CHOSEN, False)
    assert running.noise_floor == pytest.approx(max(shifts) ** 2)
    # What moves row 0 moves the others too and cancels out.
    torch.testing.assert_close(delta, MOVES.double() ** 2, rtol=1e-5, atol=1e-12)


class _CountingLane(PlainLane):
    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.log = []

    def to_device(self, tensor):
        self.log.append(("up", tensor.dtype, list(tensor.shape)))
        return super().to_device(tensor)

    def to_host(self, *tensors):
        self.log.append(("down", [list(tensor.shape) for tensor in tensors]))
        return super().to_host(*tensors)


@pytest.mark.parametrize(("with_moves", "moves"), [(False, []), (True, [[3, 2, 2]])])
def test_a_block_goes_up_once_and_comes_down_once(with_moves, moves):
    running = evaluator(ToyPolicy(means, ("front",)), 3)
    running._lane = _CountingLane()
    running.measure(REPLACED, CHOSEN, with_moves)
    # Three batches of two samples below row 0: bits and indices go up; divergences and one bit a batch come down.
    assert running._lane.log == [
        ("up", torch.bool, [3, 3, 1]),
        ("up", torch.int64, [3, 3]),
        ("down", [[3, 3], [3], *moves]),
    ]


def test_bfloat16_is_within_the_policy_alone():
    weights = torch.full((12, 2), 1 / 12)
    inside = []

    def function(images):
        actions = images.flatten(1) @ weights
        inside.append((images.dtype, actions.dtype))
        return actions[:, None]

    running = evaluator(ToyPolicy(function, ("front",)), precision="bfloat16")
    delta, moves = running.measure(REPLACED, CHOSEN, True)
    assert inside == [(torch.float32, torch.bfloat16)] * 2
    assert running.reference.normalised.dtype == running.reference.physical.dtype == torch.float32
    assert moves.dtype == torch.float32
    # Of float32 moves: a bfloat16 square would be coarser than this by a factor of a thousand.
    torch.testing.assert_close(delta, moves.double().square().mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(delta, MOVES.double() ** 2, rtol=0.05, atol=1e-12)


def test_tf32_on_a_cpu_is_refused():
    with pytest.raises(ValueError, match="tf32 needs a CUDA device and the policy is on cpu"):
        evaluator(ToyPolicy(means, ("front",)), precision="tf32")


def test_an_answer_that_is_not_finite_is_refused():
    def function(images):
        actions = means(images).clone()
        actions[2:3, 0, 0] = float("nan")
        return actions

    with pytest.raises(ValueError, match="returned 1 actions that are not finite"):
        evaluator(ToyPolicy(function, ("front",))).measure(REPLACED, CHOSEN, False)


def host_is_full():
    torch.empty(2**60)


@pytest.mark.parametrize(
    "fail",
    [
        host_is_full,
        lambda: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate")),
        lambda: (_ for _ in ()).throw(RuntimeError("CUDA error: out of memory")),
        lambda: (_ for _ in ()).throw(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")),
    ],
)
def test_every_kind_of_out_of_memory_halves_the_batch(fail):
    def hungry(images):
        if len(images) > 3:
            fail()
        return means(images)

    policy = ToyPolicy(hungry, ("front",))
    running = evaluator(policy, 4096)
    delta, _ = running.measure(REPLACED, CHOSEN, False)
    torch.testing.assert_close(delta, MOVES.double() ** 2, rtol=1e-5, atol=1e-12)
    # From the six rows that were run, not from the 4096 that were allowed.
    assert policy.batches == [1, 6, 3, 3, 3]
    assert running._resources.rows == 3
    assert running.rows == 10


@pytest.mark.parametrize(("rows", "sizes"), [(2, [2, 2, 1]), (3, [3, 2]), (64, [5])])
def test_rows_that_are_asked_in_parts_are_each_asked_once(rows, sizes):
    policy = ToyPolicy(means, ("front",))
    running = evaluator(policy, rows)
    images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 2, 2)
    answers = running.ask_in_parts(
        lambda part: policy.run_pixels(Prepared({"front": IMAGE}), {"front": images[part]}, None), 5
    )
    assert [len(each.normalised) for each in answers] == sizes
    assert torch.cat([each.normalised[:, 0, 0] for each in answers]).tolist() == [0, 1, 2, 3, 4]


def test_parts_that_do_not_fit_the_memory_are_halved_once():
    policy = ToyPolicy(means, ("front",))
    running = evaluator(policy)
    tried = []

    def run(part):
        tried.append(part.stop - part.start)
        if tried[-1] > 2:
            host_is_full()
        rows = IMAGE.expand(tried[-1], -1, -1, -1)
        return policy.run_pixels(Prepared({"front": IMAGE}), {"front": rows}, None)

    running.ask_in_parts(run, 5)
    running.ask_in_parts(run, 4)
    assert tried == [5, 2, 2, 1, 2, 2]
    with pytest.raises(RuntimeError, match="allocate"):
        running.ask_in_parts(lambda part: host_is_full(), 4)


def test_other_errors_are_not_tried_again():
    def broken(images):
        if len(images) > 1:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return means(images)

    policy = ToyPolicy(broken, ("front",))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        evaluator(policy).measure(REPLACED, CHOSEN, False)
    assert policy.batches == [1, 6]
    assert not out_of_memory(RuntimeError("memory format is not supported"))
