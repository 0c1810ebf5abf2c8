# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Print what explaining a frame of pi0.5 costs in arithmetic, from the published sizes of its parts.

A model, not a measurement: a multiply and an add are two operations, of matrix products and attention scores alone;
normalisation, activations and memory traffic are left out. docs/policies.md has its table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

CAMERAS, TOKENS_A_CAMERA, TEXT, HORIZON, STEPS, SAMPLES = 3, 256, 200, 50, 10, 100
TERA = 1e12


@dataclass(frozen=True)
class Transformer:
    """``heads_width``: of all query heads together; ``pair_width``: of key and value; ``gated``: a third MLP matrix."""

    layers: int
    width: int
    heads_width: int
    pair_width: int
    mlp: int
    gated: bool

    @property
    def parameters(self) -> int:
        """Weights of all layers."""
        attention = 2 * self.width * self.heads_width + 2 * self.width * self.pair_width
        return self.layers * (attention + (3 if self.gated else 2) * self.width * self.mlp)

    def operations(self, tokens: int, seen: int) -> float:
        """Return operations of ``tokens`` that each attend to ``seen`` tokens."""
        return 2.0 * self.parameters * tokens + self.layers * 4.0 * tokens * seen * self.heads_width


VISION = Transformer(27, 1152, 1152, 1152, 4304, gated=False)  # SigLIP So400m/14 at 224 px
LANGUAGE = Transformer(18, 2048, 2048, 256, 16384, gated=True)  # Gemma 2B
EXPERT = Transformer(18, 1024, 2048, 256, 4096, gated=True)  # action expert, 300M


def parts() -> dict[str, float]:
    """Return operations of one row's parts: vision (one camera), prefix, and all steps of the expert."""
    prefix = CAMERAS * TOKENS_A_CAMERA + TEXT
    return {
        "vision": VISION.operations(TOKENS_A_CAMERA, TOKENS_A_CAMERA),
        "prefix": LANGUAGE.operations(prefix, prefix),
        "expert": STEPS * EXPERT.operations(HORIZON, prefix + HORIZON),
    }


def table() -> list[tuple[str, float]]:
    """Return what is run for ``SAMPLES`` interventions on a frame, with its operations."""
    part = parts()
    eyes, prefix, expert = CAMERAS * part["vision"], part["prefix"], part["expert"]
    return [
        ("pixel: cameras, prefix and steps a row", SAMPLES * (eyes + prefix + expert)),
        ("token: cameras once, prefix and steps a row", eyes + SAMPLES * (prefix + expert)),
        ("knock_out: cameras and prefix once, steps a row", eyes + prefix + SAMPLES * expert),
    ]


def main() -> int:
    """Print the parts of a row and the table."""
    part = parts()
    total = CAMERAS * part["vision"] + part["prefix"] + part["expert"]
    print(f"one row: {total / TERA:.2f} TFLOP")
    for name, operations in part.items():
        times = CAMERAS if name == "vision" else 1
        print(f"  {name}: {times * operations / TERA:.2f} TFLOP, {times * operations / total:.0%}")
    pixel = table()[0][1]
    for name, operations in table():
        print(f"N = {SAMPLES}, {name}: {operations / TERA:.0f} TFLOP, {operations / pixel:.2f} of pixel")
    return 0


if __name__ == "__main__":
    sys.exit(main())
