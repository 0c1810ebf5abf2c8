"""Every setting once: name, default, unit, range and description.

Node parameters, ``config/iss.yaml``, command-line options and the README's table are made from or tested against
this list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import Any

Value = bool | int | float | str | list[str] | list[int]


@dataclass(frozen=True)
class Setting:
    """One setting; ``fixed`` ones can change only while the node is not configured."""

    name: str
    default: Any
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = False

    def check(self, value: Any) -> Any:
        """Return ``value`` in the setting's own type; raises ValueError with the value and what is allowed."""
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if kind is list and isinstance(value, (Sequence,)) and not isinstance(value, str):
            value = list(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{self.name} must be {kind.__name__}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, got '{value}'")
        if kind in (int, float):
            self._check_range(value)
        return value

    def _check_range(self, value: float) -> None:
        low = self.minimum is not None and not value >= self.minimum
        high = self.maximum is not None and not value <= self.maximum
        if low or high or value != value:
            raise ValueError(f"{self.name} must be in [{self.minimum}, {self.maximum}], got {value}")


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
        "spatial",
        "How a map is made of the policy's answers; spatial is a regression, horvitz_thompson the paper's. "
        "leave_one_out replaces each cell alone, in whole rounds of C samples and at least one; exact runs all "
        "2^C coalitions of at most 16 cells to the end, whatever samples says, and takes no time_budget. Neither "
        "uses design.",
        choices=(
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


def _fresh(value: Any) -> Callable[[], Any]:
    return lambda: list(value) if isinstance(value, list) else value


Settings = make_dataclass(
    "Settings",
    [(s.name, type(s.default), field(default_factory=_fresh(s.default))) for s in ALL],
    frozen=True,
    namespace={"__doc__": "One checked value for every setting, as attributes of the settings' names."},
)


def check(values: Mapping[str, Any]) -> Any:
    """Return checked ``Settings`` with ``values`` over the defaults.

    Raises ValueError for an unknown name, a value out of range, or values that do not fit together.
    """
    unknown = sorted(set(values) - set(BY_NAME))
    if unknown:
        raise ValueError(f"unknown settings {unknown}; known: {', '.join(BY_NAME)}")
    settings = Settings(**{name: BY_NAME[name].check(value) for name, value in values.items()})
    _check_together(settings)
    return settings


def _check_together(settings: Any) -> None:
    if settings.nmr_error_ratio < settings.nmr_warn_ratio:
        raise ValueError(
            f"nmr_error_ratio must not be below nmr_warn_ratio {settings.nmr_warn_ratio}, "
            f"got {settings.nmr_error_ratio}"
        )
    if settings.samples < settings.block_size:
        raise ValueError(f"samples must be at least block_size {settings.block_size}, got {settings.samples}")
    if settings.estimator == "regression_adjusted" and settings.samples < 4:
        raise ValueError(f"samples must be at least 4 for regression_adjusted, got {settings.samples}")
    if settings.estimator == "exact":
        _check_exact(settings)
    shared = set(settings.actor_labels) & set(settings.support_labels)
    if shared:
        raise ValueError(f"labels {sorted(shared)} are in actor_labels and in support_labels; name each once")
    if not settings.cameras or len(set(settings.cameras)) != len(settings.cameras):
        raise ValueError(f"cameras must be different names and not empty, got {settings.cameras}")


def _check_exact(settings: Any) -> None:
    # One camera is the least; how many the policy has is known only where the policy is.
    if settings.grid**2 > 16:
        raise ValueError(
            f"exact takes at most 16 cells over all cameras, got {settings.grid**2} a camera; "
            "set grid to 2 or use another estimator"
        )
    if settings.time_budget > 0:
        raise ValueError(
            f"time_budget must be 0 for exact, got {settings.time_budget}; a part of all coalitions is no result"
        )


def as_yaml() -> str:
    """Return a ROS parameter file with every setting, its default, unit and description."""
    lines = [
        "# Every parameter of iss_node with its default. Made from vla_iss_ros/settings.py; a test compares."
    ]
    lines += ["/**:", "  ros__parameters:"]
    for group, settings in GROUPS.items():
        lines.append(f"    # {group}")
        for setting in settings:
            lines.append(f"    # {setting.description}{_notes(setting, ' ')}")
            lines.append(f"    {setting.name}: {_yaml_value(setting.default)}")
    return "\n".join(lines) + "\n"


def reference_as_yaml() -> str:
    """Return a ROS parameter file with the settings of the paper's public code."""
    lines = ["# The settings of the paper's public code. Made from vla_iss_ros/settings.py; a test compares."]
    lines += ["/**:", "  ros__parameters:"]
    lines += [f"    {name}: {_yaml_value(value)}" for name, value in REFERENCE.items()]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """Return the table of parameters that stands in the README."""
    lines = ["| parameter | type | default | meaning |", "| --- | --- | --- | --- |"]
    for setting in ALL:
        kind = {list: "list", bool: "bool", int: "int", float: "float", str: "string"}[type(setting.default)]
        meaning = f"{setting.description}{_notes(setting, ' ')}"
        lines.append(f"| `{setting.name}` | {kind} | `{_yaml_value(setting.default)}` | {meaning} |")
    return "\n".join(lines) + "\n"


def _notes(setting: Setting, lead: str) -> str:
    notes = []
    if setting.unit not in ("", "1"):
        notes.append(f"unit: {setting.unit}")
    if setting.minimum is not None:
        notes.append(f"range: {setting.minimum:g} to {setting.maximum:g}")
    if setting.choices:
        notes.append(f"one of: {', '.join(setting.choices)}")
    if setting.fixed:
        notes.append("fixed while configured")
    return f"{lead}({'; '.join(notes)})" if notes else ""


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(str(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
