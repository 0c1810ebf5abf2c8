# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the shipped policy sees, made up."""

import numpy as np

from vla_iss_ros.iss.observation import Observation


def observe(seed=0, size=64, **changes):
    rng = np.random.default_rng(seed)
    values = {
        "images": {
            name: rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for name in ("front", "wrist")
        },
        "instruction": "press the button",
        "state": np.array([0.1, 0.2, 0.3, 1.0], np.float32),
        "stamp": 1,
    }
    return Observation(**{**values, **changes})
