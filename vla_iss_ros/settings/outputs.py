# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the nodes and of what they publish."""

from __future__ import annotations

from vla_iss_ros.settings.setting import Setting

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
    Setting(
        "duty_cycle",
        1.0,
        "Largest share of the time that is spent on explanations; a pause follows each one.",
        "1",
        0.01,
        1.0,
    ),
    Setting(
        "hang_timeout",
        30.0,
        "Time without a sign of life from the policy after which /diagnostics reports an error.",
        "s",
        0.1,
        3600.0,
    ),
    Setting("nmr_warn_ratio", 1.0, "NMR over chance from which /diagnostics warns.", "1", 0.0, 100.0),
    Setting(
        "nmr_error_ratio", 1.5, "NMR over chance from which /diagnostics reports an error.", "1", 0.0, 100.0
    ),
    Setting(
        "alarm_hysteresis",
        0.1,
        "Share of a threshold that a value must fall below it for its alarm to clear.",
        "1",
        0.0,
        0.9,
    ),
    Setting(
        "alarm_frames",
        3,
        "Explained frames in a row that it takes for an alarm to rise or to clear.",
        "1",
        1,
        1000,
    ),
    Setting(
        "action_type",
        "float32_multi_array",
        "Type of the topic with the commanded actions: float32_multi_array (std_msgs) or joint_trajectory "
        "(trajectory_msgs, whose stamp tells which frame it answers).",
        choices=("float32_multi_array", "joint_trajectory"),
        fixed=True,
    ),
    Setting(
        "agreement_tolerance",
        0.02,
        "Difference between commanded and own action that is always expected, as a share of the action's size.",
        "1",
        0.0,
        10.0,
    ),
    Setting(
        "agreement_warn_ratio",
        1.5,
        "Difference between commanded and own action, over what is expected, from which /diagnostics warns.",
        "1",
        0.0,
        1e6,
    ),
    Setting(
        "agreement_error_ratio",
        4.0,
        "Difference between commanded and own action, over what is expected, from which /diagnostics reports an error.",
        "1",
        0.0,
        1e6,
    ),
    Setting(
        "picture_size",
        0,
        "Longer side of the pictures and maps that are published; 0, and any larger, is the camera's.",
        "px",
        0,
        16384,
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
