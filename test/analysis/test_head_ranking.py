# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import csv
import io
import math

import numpy as np
import pytest
import torch
from policy_observations import observe

from vla_iss_ros import settings
from vla_iss_ros.analysis.head_ranking import as_csv, rank_heads
from vla_iss_ros.policies.builtin import BuiltinPolicy
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

CONFIG = PatchTransformerConfig(
    image_size=16, width=32, heads=4, layers=2, vocabulary=("press", "the", "button")
)


def planted(layer, head):
    """Return the shipped network, random, in which one head alone reaches anything else."""
    torch.manual_seed(0)
    network = PatchTransformer(CONFIG)
    size = CONFIG.width // CONFIG.heads
    with torch.no_grad():
        for number, block in enumerate(network.blocks):
            keep = torch.zeros(CONFIG.width)
            if number == layer:
                keep[head * size : (head + 1) * size] = 30
            block.attention.out.weight *= keep
    return BuiltinPolicy(network, torch.device("cpu"), {})


@pytest.mark.parametrize("place", [(0, 1), (1, 2)])
def test_the_head_that_alone_reaches_the_action_ranks_first(place):
    policy = planted(*place)
    frames = [observe(seed) for seed in range(4)]
    heard = []
    ranked = rank_heads(policy, frames, settings.check({"samples": 64}), heard.append)
    assert heard == [1, 2, 3, 4]
    assert ranked[0].head == f"layer {place[0]} head {place[1]}"
    assert sorted(each.head for each in ranked) == sorted(policy.heads)
    assert ranked[0].contrast > 10 * max(abs(each.contrast) for each in ranked[1:])
    assert ranked[0].contrast > 2 * ranked[0].standard_error
    assert ranked[0].share > 0.9


def test_errors_are_of_the_mean_over_frames():
    policy = planted(1, 2)
    frames = [observe(seed) for seed in range(3)]
    chosen = settings.check({"samples": 32, "estimator": "leave_one_out"})
    ranked = rank_heads(policy, frames, chosen)
    means = torch.stack(
        [policy.head_outputs(policy.encode(policy.preprocess(frame)), None) for frame in frames]
    ).mean(0)
    deltas = []
    for frame in frames:
        encoded = policy.encode(policy.preprocess(frame))
        ablated = torch.zeros(2, 8, dtype=torch.bool)
        ablated[1, 4 + 2] = True
        answers = policy.run_heads(encoded, ablated, means, None).normalised
        deltas.append(float((answers[1] - answers[0]).square().mean()))
    assert ranked[0].contrast == pytest.approx(np.mean(deltas), rel=1e-3)
    assert ranked[0].standard_error == pytest.approx(np.std(deltas, ddof=1) / math.sqrt(3), rel=1e-3)


def test_a_divergence_along_a_path_is_refused():
    chosen = settings.check({"divergence": "categorical_kl", "estimator": "spatial"})
    with pytest.raises(
        ValueError, match="compared by action_mse or gaussian_kl, got divergence categorical_kl"
    ):
        rank_heads(planted(0, 0), [observe(0), observe(1)], chosen)


def test_the_table_has_a_row_a_head():
    ranked = rank_heads(planted(0, 0), [observe(0), observe(1)], settings.check({"samples": 32}))
    rows = list(csv.DictReader(io.StringIO(as_csv(ranked))))
    assert [row["head"] for row in rows] == [each.head for each in ranked]
    assert [float(row["contrast"]) for row in rows] == [each.contrast for each in ranked]
    assert rows[0]["place"] == "1"
