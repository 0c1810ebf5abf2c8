# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_iss_ros.iss.designs import Balanced, Bernoulli
from vla_iss_ros.iss.estimators import emulator
from vla_iss_ros.iss.estimators.arms import HorvitzThompson
from vla_iss_ros.iss.estimators.emulator import Emulator

POSITIONS = torch.tensor([[0, row, column] for row in range(4) for column in range(4)])
CELLS = len(POSITIONS)
PICTURES = 3


class Robot:
    """Moves by a saturating function of few cells, differently for every picture; cells differ in how they change."""

    def __init__(self, seed=0, shift=0, outputs=6):
        generator = torch.Generator().manual_seed(seed)
        self.change = 0.2 + torch.rand(CELLS, PICTURES, generator=generator, dtype=torch.float64)
        directions = torch.randn(CELLS, 2, generator=generator, dtype=torch.float64)
        strength = torch.zeros(CELLS, dtype=torch.float64)
        strength[torch.tensor([5, 6, 9]).add(shift) % CELLS] = torch.tensor([1.0, 0.6, 0.8]).double()
        self.slopes = strength[:, None] * directions
        self.readout = torch.randn(2, outputs, generator=generator, dtype=torch.float64)
        self.products = self.change[:, :, None] * self.change[:, None, :]

    def moves(self, replaced, pictures):
        hidden = (replaced.double() * self.change[:, pictures].T) @ self.slopes
        return torch.tanh(hidden) @ self.readout

    def estimator(self, probability=0.3, kind=Emulator):
        return kind(probability, False, POSITIONS, self.products, PICTURES)

    def truth(self, probability=0.3):
        """Return the contrast from 40,000 samples by least squares on all cells, picture by picture."""
        generator = torch.Generator().manual_seed(99)
        found = []
        for picture in range(PICTURES):
            replaced = Bernoulli().draw(40_000, CELLS, probability, generator)
            moved = self.moves(replaced, torch.full((40_000,), picture)).square().mean(1, keepdim=True)
            rows = torch.cat([replaced.double(), torch.ones(40_000, 1).double()], 1)
            found.append(torch.linalg.lstsq(rows, moved).solution[:CELLS, 0])
        return torch.stack(found).mean(0)


def feed(estimator, robot, samples, block=16, seed=0, prepare=True, probability=0.3):
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, samples, block):
        count = min(block, samples - start)
        replaced = Balanced().draw(count, CELLS, probability, generator)
        pictures = (torch.arange(count) + start) % PICTURES
        moves = robot.moves(replaced, pictures)
        estimator.update(replaced, moves.square().mean(1), pictures, moves)
        if prepare and start + count < samples:
            estimator.prepare()
    return estimator


def correlation(left, right):
    return torch.corrcoef(torch.stack([left, right]))[0, 1].item()


def test_few_samples_are_enough():
    robot = Robot()
    truth = robot.truth()
    ours = feed(robot.estimator(), robot, 64).estimate().contrast
    theirs = feed(robot.estimator(kind=HorvitzThompson), robot, 64).estimate().contrast
    assert correlation(ours, truth) > 0.97
    assert correlation(ours, truth) > correlation(theirs, truth) + 0.1


@pytest.mark.parametrize("probability", [0.3, 0.7])
def test_it_converges_where_the_emulator_has_long_stopped_learning(probability):
    """6,000 samples, of which the emulator is conditioned on 384; the rest corrects it."""
    robot = Robot()
    result = feed(
        robot.estimator(probability), robot, 6000, block=500, prepare=False, probability=probability
    ).estimate()
    truth = robot.truth(probability)
    assert (result.contrast - truth).abs().max() < 0.03 * truth.abs().max()
    assert result.samples == 6000


def test_intervals_cover():
    robot, ratios = Robot(), []
    truth = robot.truth()
    for seed in range(12):
        result = feed(robot.estimator(), robot, 48, seed=seed).estimate()
        ratios.append((result.contrast - truth).abs() / result.standard_error)
    covered = (torch.stack(ratios) < 1.96).double().mean().item()
    assert covered > 0.9
    # Standard errors that are far too large would cover always.
    assert torch.stack(ratios).median() > 0.1
    assert torch.stack(ratios).max() > 1.0


@pytest.mark.parametrize("samples", [1, 2, 3, 5])
def test_a_handful_of_samples_gives_finite_numbers(samples):
    robot = Robot()
    estimator = robot.estimator()
    for place in range(samples):
        replaced = torch.arange(CELLS)[None] % (place + 2) > 0
        pictures = torch.tensor([place % PICTURES])
        moves = robot.moves(replaced, pictures)
        estimator.update(replaced, moves.square().mean(1), pictures, moves)
    result = estimator.estimate()
    assert torch.isfinite(result.contrast).all()
    assert torch.isfinite(result.standard_error).all()


def test_asking_in_between_changes_nothing():
    robot = Robot()
    quiet, asked = robot.estimator(), robot.estimator()
    feed(quiet, robot, 48)
    generator = torch.Generator().manual_seed(0)
    for start in range(0, 48, 16):
        replaced = Balanced().draw(16, CELLS, 0.3, generator)
        pictures = (torch.arange(16) + start) % PICTURES
        moves = robot.moves(replaced, pictures)
        asked.update(replaced, moves.square().mean(1), pictures, moves)
        asked.estimate()
        asked.memory()
        if start < 32:
            asked.prepare()
    assert torch.equal(asked.estimate().contrast, quiet.estimate().contrast)
    assert torch.equal(asked.estimate().draws, quiet.estimate().draws)


def test_the_seed_decides_the_draws_and_not_the_contrast():
    robot = Robot()
    results = []
    for seed in (1, 1, 2):
        estimator = feed(robot.estimator(), robot, 32)
        estimator.seed = seed
        results.append(estimator.estimate())
    assert torch.equal(results[0].draws, results[1].draws)
    assert not torch.equal(results[0].draws, results[2].draws)
    assert torch.equal(results[0].contrast, results[2].contrast)


def test_draws_spread_as_the_standard_error_says():
    robot = Robot()
    result = feed(robot.estimator(), robot, 48).estimate()
    spread = (result.draws - result.contrast).square().mean(0).sqrt()
    assert ((spread / result.standard_error).log().abs() < math.log(1.6)).all()
    assert result.draws.shape == (emulator.ERROR_DRAWS, CELLS)


@settings(max_examples=10, deadline=None)
@given(exponent=st.integers(-6, 6), seed=st.integers(0, 20))
def test_scaling_the_action_scales_the_map(exponent, seed):
    scale, robot, plain, scaled = 10.0**exponent, Robot(), Robot().estimator(), Robot().estimator()
    generator = torch.Generator().manual_seed(seed)
    replaced, pictures = Balanced().draw(24, CELLS, 0.3, generator), torch.arange(24) % PICTURES
    moves = robot.moves(replaced, pictures)
    plain.update(replaced, moves.square().mean(1), pictures, moves)
    scaled.update(replaced, (scale * moves).square().mean(1), pictures, scale * moves)
    expected = plain.estimate().contrast * scale**2
    torch.testing.assert_close(
        scaled.estimate().contrast, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
    )


def test_more_pictures_than_can_be_crossed():
    generator = torch.Generator().manual_seed(0)
    change = 0.2 + torch.rand(CELLS, 20, generator=generator, dtype=torch.float64)
    estimator = Emulator(0.3, False, POSITIONS, change[:, :, None] * change[:, None, :], 20)
    replaced, pictures = Balanced().draw(200, CELLS, 0.3, generator), torch.arange(200) % 20
    moves = 2 * replaced[:, 3:4] * change[3, pictures, None]
    estimator.update(replaced, moves.square().mean(1), pictures, moves)
    contrast = estimator.estimate().contrast
    # One cell alone: delta is (2 h)^2 where it is replaced, so the contrast is the mean of that over pictures.
    assert contrast[3].item() == pytest.approx(float((4 * change[3].square()).mean()), rel=0.05)
    assert contrast.argmax() == 3


def test_a_policy_that_never_moves_leaves_no_memory():
    estimator = Robot().estimator()
    replaced = Balanced().draw(8, CELLS, 0.3, torch.Generator().manual_seed(0))
    estimator.update(replaced, torch.zeros(8), torch.zeros(8, dtype=torch.int64), torch.zeros(8, 6))
    assert estimator.estimate().contrast.abs().max() == 0
    assert estimator.memory() is None


def streamed(robots, samples=16):
    """Return the last frame's estimate after one frame of each robot."""
    memory = None
    for frame, robot in enumerate(robots):
        estimator = robot.estimator()
        if memory is not None:
            estimator.recall(memory)
        feed(estimator, robot, samples, seed=frame)
        result, left = estimator.estimate(), estimator.memory()
        memory = left.aged(1)
    return result, memory


def test_steady_frames_help_each_other():
    robot = Robot()
    truth = robot.truth()
    alone, _ = streamed([robot])
    together, memory = streamed([robot] * 6)
    assert correlation(together.contrast, truth) > 0.97
    assert correlation(together.contrast, truth) > correlation(alone.contrast, truth)
    assert len(memory) == 96
    assert sorted(set(memory.times.tolist())) == [-6, -5, -4, -3, -2, -1]


def error(result, truth):
    return float((result.contrast - truth).norm() / truth.norm())


@pytest.mark.parametrize("samples", [32, 128, 256])
def test_a_jump_is_followed_at_once(samples):
    """The first frames after a jump are hardly worse than frames without a past, on the mean over seeds."""
    before = Robot()
    ratios = []
    for seed in range(4):
        after = Robot(seed=seed + 1, shift=6)
        truth = after.truth()
        result, _ = streamed([before] * 4 + [after] * 2, samples=samples)
        alone = feed(after.estimator(), after, samples, seed=5).estimate()
        ratios.append(error(result, truth) / error(alone, truth))
    assert sum(ratios) / 4 < 1.4


@pytest.mark.parametrize("samples", [32, 192, 256])
def test_a_jump_at_32_samples_is_followed_within_five_frames(samples):
    before, after = Robot(), Robot(shift=6)
    truth = after.truth()
    result, _ = streamed([before] * 6 + [after] * 5, samples=samples)
    assert correlation(result.contrast, truth) > 0.95
    assert result.contrast.topk(3).indices.sort().values.tolist() == [11, 12, 15]


@pytest.mark.parametrize("samples", [32, 192, 256])
def test_answers_that_contradict_the_memory_empty_it(samples):
    robot, other = Robot(), Robot(seed=5, shift=6)
    _, memory = streamed([robot] * 4, samples=32)
    estimator = other.estimator()
    estimator.recall(memory)
    feed(estimator, other, samples, block=64)
    assert set(estimator.memory().times.tolist()) == {0.0}
    fresh = feed(other.estimator(), other, samples, block=64).estimate()
    truth = other.truth()
    assert error(estimator.estimate(), truth) < 1.5 * error(fresh, truth)


def test_answers_that_agree_with_the_memory_keep_it():
    robot = Robot()
    _, memory = streamed([robot] * 4)
    estimator = robot.estimator()
    estimator.recall(memory)
    feed(estimator, robot, 32)
    assert min(estimator.memory().times.tolist()) < -3


@pytest.mark.parametrize("first", [0, 50, 384])
def test_answers_that_move_only_now_and_then(first):
    """Only samples from ``first`` on, 50 of them, move the action: what is learned from may hold none of them."""
    robot = Robot()
    estimator, generator = robot.estimator(), torch.Generator().manual_seed(0)
    for start in range(0, 448, 64):
        replaced, places = Balanced().draw(64, CELLS, 0.3, generator), torch.arange(start, start + 64)
        pictures = places % PICTURES
        moving = (places >= first) & (places < first + 50)
        moves = robot.moves(replaced, pictures) * moving[:, None]
        estimator.update(replaced, moves.square().mean(1), pictures, moves)
        estimator.prepare()
    result = estimator.estimate()
    assert torch.isfinite(result.contrast).all()
    assert result.contrast.abs().max() > 0
    assert torch.isfinite(result.standard_error).all()


def test_many_pictures_leave_doubt():
    """With as many pictures as samples no picture can have a constant of its own."""
    generator = torch.Generator().manual_seed(0)
    change = 0.2 + torch.rand(CELLS, 200, generator=generator, dtype=torch.float64)
    estimator = Emulator(0.3, False, POSITIONS, change[:, :, None] * change[:, None, :], 200)
    replaced, pictures = Balanced().draw(32, CELLS, 0.3, generator), torch.arange(32) * 6
    moves = torch.tanh(2 * replaced[:, 3:4] * change[3, pictures, None] + replaced[:, 7:8])
    estimator.update(replaced, moves.square().mean(1), pictures, moves)
    result = estimator.estimate()
    spread = (result.draws - result.contrast).std(0)
    assert spread[3] > 0.02 * result.contrast[3].abs()
    assert result.standard_error[3] > 0.02 * result.contrast[3].abs()


def test_a_picture_that_does_not_exist_is_refused():
    estimator = Robot().estimator()
    with pytest.raises(ValueError, match="there are 3 baseline pictures, got number 3"):
        estimator.update(torch.ones(1, CELLS), torch.ones(1), torch.tensor([3]), torch.ones(1, 6))
