# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the method, and the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vla_iss_ros.settings.setting import Setting

METHOD: tuple[Setting, ...] = (
    Setting("samples", 128, "Perturbed copies of a frame that the policy is run on (N).", "1", 2, 100000),
    Setting(
        "keep_probability", 0.7, "Probability that a cell is kept; the paper's p, there 0.3.", "1", 0.01, 0.99
    ),
    Setting("grid", 7, "Cells along each side of every view.", "cells", 1, 64),
    Setting(
        "space",
        "pixel",
        "What is replaced: pixel (cells of the images), token (image patches and words, by mean embeddings; the vision "
        "tower runs once a frame), or knock_out (a preview: positions that the action part may not read).",
        choices=("pixel", "token", "knock_out"),
    ),
    Setting(
        "token_block", 2, "Image tokens along each side of a cell, where space is not pixel.", "tokens", 1, 64
    ),
    Setting(
        "divergence",
        "action_mse",
        "How far an answer is from that without interventions: action_mse, or the KL divergence of the policy's action "
        "distributions (gaussian_kl, categorical_kl), or a bound of it along a path (flow_path_kl, ddpm_path_kl).",
        choices=("action_mse", "gaussian_kl", "categorical_kl", "flow_path_kl", "ddpm_path_kl"),
    ),
    Setting(
        "words",
        False,
        "Where space is pixel, leave each word out of the instruction in turn as well: one run of the policy a word.",
    ),
    Setting(
        "baseline",
        "donor",
        "What replaced cells show: donor (pixels of other recorded frames), blur or mean_colour.",
        choices=("donor", "blur", "mean_colour"),
    ),
    Setting(
        "blur_sigma",
        0.045,
        "Width of the blur baseline's Gaussian, as a share of the view's width.",
        "1",
        0.001,
        1.0,
    ),
    Setting(
        "design",
        "balanced",
        "Which cells are replaced together: balanced (every cell equally often), sobol, or bernoulli (the paper's).",
        choices=("balanced", "sobol", "bernoulli"),
    ),
    Setting(
        "estimator",
        "emulator",
        "How a map is made of the policy's answers: emulator learns how the whole action moves, spatial regresses the "
        "divergence, horvitz_thompson is the paper's. "
        "leave_one_out replaces each cell alone, in whole rounds of C samples and at least one; exact runs all "
        "2^C coalitions of at most 16 cells to the end, whatever samples says, and takes no time_budget. Neither "
        "uses design.",
        choices=(
            "emulator",
            "spatial",
            "hajek",
            "horvitz_thompson",
            "surrogate",
            "regression_adjusted",
            "leave_one_out",
            "exact",
        ),
    ),
    Setting(
        "mask_layout",
        "per_view",
        "Upsample the cells of every view apart (per_view), or as one stitched picture (the paper's code).",
        choices=("per_view", "stitched"),
    ),
    Setting("quantise", False, "Cut perturbed images to 8 bits, as the paper's code does."),
    Setting(
        "composite_resolution",
        "policy",
        "Size at which images and what replaces them are mixed: the policy's, or the camera's (slower; needs a "
        "policy that can resize).",
        choices=("policy", "camera"),
    ),
    Setting("block_size", 32, "Samples drawn together; the estimate can stop after any block.", "1", 2, 4096),
    Setting("batch_size", 64, "Rows in one run of the policy; changes speed, never the map.", "1", 2, 4096),
    Setting(
        "max_batch_ms",
        0.0,
        "Longest that one run of the policy shall take; its rows are chosen by what rows took before. 0 is without "
        "limit.",
        "ms",
        0.0,
        10000.0,
    ),
    Setting(
        "batch_gap_ms",
        0.0,
        "Pause between two runs of the policy, in which the device is free for the robot's own.",
        "ms",
        0.0,
        1000.0,
    ),
    Setting(
        "precision",
        "float32",
        "Arithmetic within the policy: float32 (as torch is set), tf32 (CUDA alone) or bfloat16 (autocast).",
        choices=("float32", "tf32", "bfloat16"),
    ),
    Setting(
        "time_budget", 0.0, "Stop sampling a frame after this time; 0 is without limit.", "s", 0.0, 600.0
    ),
    Setting(
        "nmr_half_width",
        0.0,
        "Stop sampling a frame where half the width of its NMR interval is at most this; looked at after 1, 2, 4 and "
        "so on blocks, and widened for that. 0 is never.",
        "1",
        0.0,
        1.0,
    ),
    Setting("seed", 0, "Seed of every random draw.", "1", 0, 2**31 - 1),
    Setting("nmr_percent", 10, "k of the headline NMR@k: top share of positions.", "%", 1, 99),
    Setting(
        "nmr_size", 128, "Side that every view is brought to before positions are ranked.", "px", 7, 1024
    ),
    Setting(
        "attributions",
        "none",
        "Also show what is not ISS, over the same tokens: attention, token_norm, gradient_input, knock_out, or all "
        "that the policy allows; labelled, on topics of their own.",
        choices=("none", "attention", "token_norm", "gradient_input", "knock_out", "all"),
        fixed=True,
    ),
    Setting(
        "effects", True, "Measure the effect of each camera, of the instruction and of the state as well."
    ),
)

# The paper's public configuration (N = 500, keep 0.3); its sigma of 10 px is taken at a view of 224 px.
REFERENCE: Mapping[str, Any] = {
    "samples": 500,
    "keep_probability": 0.3,
    "grid": 7,
    "baseline": "blur",
    "blur_sigma": 10 / 224,
    "design": "bernoulli",
    "estimator": "horvitz_thompson",
    "mask_layout": "stitched",
    "quantise": True,
    "block_size": 500,
}
