# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from vla_iss_ros.iss.designs import Bernoulli
from vla_iss_ros.iss.estimators import gaussian_process
from vla_iss_ros.iss.estimators.gaussian_process import NOISES, posterior, prior_roots

SIDE = 4
POSITIONS = torch.tensor(
    [[view, row, column] for view in range(2) for row in range(SIDE) for column in range(SIDE)]
)
CELLS = len(POSITIONS)
CHANGES = torch.linspace(0, 1, CELLS)


def one_by_one(gram, moment, square, freedom, roots, noises=NOISES):
    """The posterior, one prior and one noise after another."""
    outputs = moment.shape[1]
    scores, means, variances = [], [], []
    for root in roots:
        values, vectors = torch.linalg.eigh(root.T @ gram @ root)
        values = values.clamp_min(0)
        projected = vectors.T @ (root.T @ moment)
        turned = root @ vectors
        for noise in noises:
            ridge = noise * values.sum() / freedom
            shrunk = 1 / (values + ridge)
            residual = (square - (projected.square().sum(1) * shrunk).sum()) / ridge
            log_determinant = (values + ridge).log().sum() + (freedom - len(values)) * ridge.log()
            scores.append(-0.5 * outputs * (freedom * residual.log() + log_determinant))
            means.append(turned @ (shrunk[:, None] * projected))
            variances.append(residual / (freedom * outputs) * ridge * (turned.square() @ shrunk))
    weight = torch.stack(scores).softmax(0)
    stacked = torch.stack(means)
    mean = torch.tensordot(weight, stacked, 1)
    spread = (stacked - mean).square().mean(2)
    return mean, weight @ (torch.stack(variances) + spread)


def sums(count, outputs, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = Bernoulli().draw(count, CELLS, 0.6, generator).double()
    slope = torch.randn(CELLS, outputs, generator=generator, dtype=torch.float64)
    answers = rows @ slope + torch.randn(count, outputs, generator=generator, dtype=torch.float64)
    rows, answers = rows - rows.mean(0), answers - answers.mean(0)
    return rows.T @ rows, rows.T @ answers, answers.square().sum(), count - 1


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("count", [3, 20, 64, 500])
@pytest.mark.parametrize("changes", [None, CHANGES])
@pytest.mark.parametrize("noises", [NOISES, (0.1,), (0.01, 1.0)])
def test_equals_one_prior_and_one_noise_after_another(outputs, count, changes, noises):
    roots = prior_roots(CELLS, POSITIONS, changes)
    sample = sums(count, outputs)
    for found, expected in zip(
        posterior(*sample, roots, noises), one_by_one(*sample, roots, noises), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("changes", [None, CHANGES, torch.zeros(CELLS)])
def test_roots_are_of_the_covariance_written_out(changes):
    roots = prior_roots(CELLS, POSITIONS, changes)
    seen = changes is not None and changes.max() > 0
    assert roots.shape == (12 if seen else 4, CELLS, CELLS)
    first, second = 5, 10  # two neighbours on a diagonal of one view
    for place, root in enumerate(roots):
        scale = gaussian_process.LENGTH_SCALES[place % 4]
        exponent = gaussian_process.CHANGE_EXPONENTS[place // 4]
        relative = (CHANGES.double() / CHANGES.double().mean()) ** exponent
        covariance = root @ root.T
        expected = relative[first] * relative[second] * torch.exp(torch.tensor(-1 / scale**2)) if scale else 0
        assert covariance[first, second] == pytest.approx(float(expected), rel=1e-6)
        assert covariance[first, SIDE**2 + first] == 0  # another view


def test_a_cell_without_change_keeps_a_little():
    roots = prior_roots(CELLS, None, CHANGES)
    assert roots[:, 0, 0].tolist() == pytest.approx([1, 1e-3**0.5, 1e-3])


def test_layouts_do_not_get_in_each_other_s_way():
    plain = prior_roots(CELLS, POSITIONS, None).clone()
    order = torch.randperm(CELLS, generator=torch.Generator().manual_seed(0))
    shuffled = prior_roots(CELLS, POSITIONS[order], None)
    covariance = (plain @ plain.mT)[:, order][:, :, order]
    torch.testing.assert_close(shuffled @ shuffled.mT, covariance)
    prior_roots(CELLS, POSITIONS, CHANGES)
    assert torch.equal(prior_roots(CELLS, POSITIONS, None), plain)
    assert prior_roots(3, None, None).tolist() == [torch.eye(3).tolist()]


def test_roots_made_in_inference_mode_serve_outside_of_it():
    gaussian_process._neighbour_roots.cache_clear()
    with torch.inference_mode():
        prior_roots(CELLS, POSITIONS, None)
    assert not prior_roots(CELLS, POSITIONS, None).is_inference()


def test_positions_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"positions must be \[5, 3\], got \[32, 3\]"):
        prior_roots(5, POSITIONS, None)
