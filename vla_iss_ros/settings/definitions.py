"""Every setting: name, default, description, unit, range or choices."""

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
        "effects", True, "Measure the effect of each camera, of the instruction and of the state as well."
    ),
)

INPUTS: tuple[Setting, ...] = (
    Setting(
        "policy",
        "builtin",
        "Policy to explain, TYPE[:PATH]; builtin alone is the shipped checkpoint.",
        fixed=True,
    ),
    Setting("device", "auto", "Where the policy runs: auto, cpu, cuda or cuda:N.", fixed=True),
    Setting(
        "allow_pickle",
        False,
        "Also load exported policies of kind pt2: torch unpickles such files, which runs whatever code they hold.",
        fixed=True,
    ),
    Setting(
        "allow_remote_code",
        False,
        "Run the Python files in a policy's directory, as policies of type openvla bring them.",
        fixed=True,
    ),
    Setting(
        "allow_unshared_noise",
        False,
        "Also explain a stochastic policy that cannot be given its sampling noise; its own spread is then in every "
        "number, and results carry it as their noise floor.",
        fixed=True,
    ),
    Setting("cameras", ["front", "wrist"], "Cameras of the policy; each has topics of its own.", fixed=True),
    Setting(
        "image_transport",
        "compressed",
        "Type of the image topics: raw (sensor_msgs/Image) or compressed (CompressedImage).",
        choices=("raw", "compressed"),
        fixed=True,
    ),
    Setting(
        "regions_transport",
        "compressed",
        "Type of the label topics: raw (sensor_msgs/Image) or compressed (CompressedImage, PNG).",
        choices=("raw", "compressed"),
        fixed=True,
    ),
    Setting(
        "image_reliability",
        "best_effort",
        "QoS of the image and label subscriptions; best_effort is sensor-data QoS.",
        choices=("best_effort", "reliable"),
        fixed=True,
    ),
    Setting(
        "sync_slop",
        0.05,
        "Largest difference of stamps within one set of images and labels.",
        "s",
        0.0,
        10.0,
        fixed=True,
    ),
    Setting("instruction", "", "Instruction used until one arrives on the topic."),
    Setting(
        "state_names",
        ["hand_x", "hand_y", "hand_z", "gripper"],
        "Names that make up the policy's state, in its order; one JointState message must hold them all.",
        fixed=True,
    ),
    Setting(
        "state_unit",
        "rad",
        "Unit of the state's angles as the policy wants them; deg converts from the topic's radians.",
        choices=("rad", "deg"),
        fixed=True,
    ),
    Setting(
        "donors",
        "",
        "Directory of donor frames made by gather_donors; empty: those of the samples.",
        fixed=True,
    ),
    Setting("actor_labels", [1], "Labels of the robot in the label images."),
    Setting("support_labels", [2, 3], "Labels of the task's objects and of what carries them."),
)

OUTPUTS: tuple[Setting, ...] = (
    Setting(
        "stream",
        True,
        "Let earlier frames have a say in a frame's map (estimator emulator, iss_node only): fewer samples do, and a "
        "map depends on the frames before it. Forgotten with the instruction, a jump of the stamps or of the scene.",
    ),
    Setting(
        "autostart", True, "Configure and activate at start-up, without a lifecycle manager.", fixed=True
    ),
    Setting("max_rate", 10.0, "Most explanations a second.", "Hz", 0.01, 1000.0),
    Setting("nmr_warn_ratio", 1.0, "NMR over chance from which /diagnostics warns.", "1", 0.0, 100.0),
    Setting(
        "nmr_error_ratio", 1.5, "NMR over chance from which /diagnostics reports an error.", "1", 0.0, 100.0
    ),
    Setting(
        "overlay_scale",
        0.0,
        "Contrast shown at the top of the colour map; 0 adapts slowly.",
        "delta",
        0.0,
        1e9,
    ),
    Setting("overlay_alpha", 0.6, "Opacity of the strongest colour in the overlay.", "1", 0.0, 1.0),
    Setting(
        "colour_map",
        "inferno",
        "Colour map of the overlays; all are safe for colour-blind readers.",
        choices=("inferno", "viridis", "cividis", "magma"),
    ),
    Setting("chart_seconds", 120.0, "Time span of the NMR chart.", "s", 5.0, 86400.0),
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

GROUPS: Mapping[str, tuple[Setting, ...]] = {"inputs": INPUTS, "method": METHOD, "outputs": OUTPUTS}
ALL: tuple[Setting, ...] = INPUTS + METHOD + OUTPUTS
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in ALL}
