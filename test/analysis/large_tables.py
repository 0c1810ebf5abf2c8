# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tables of frames that are too many to be rows."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vla_iss_ros.analysis.frame_table import ROW_GROUP, EffectFigures, FrameRow, RatioFigures

PATTERN = FrameRow(
    "bag", "bag/0", 0, 0, 0.0, "lift the cube", True, "p", samples=64, chance=0.4,
    ratios={percent: RatioFigures(0.5, 0.4, 0.6, 0.0, {"front": 0.5}) for percent in (5, 10, 20)},
    areas={"front": {"nuisance": 0.4, "robot": 0.3, "object": 0.3}},
    effects={name: EffectFigures(0.1, 0.5, 0.01) for name in ("camera_front", "state", "everything")},
    timings={"policy": 0.25},
)  # fmt: skip


def write_large(path, pattern, columns):
    """Write ``pattern`` (columns of one row) many times, with ``columns`` (arrays) in place of its own."""
    length = len(next(iter(columns.values())))
    arrays = {
        name: pa.array(columns[name]) if name in columns else pa.repeat(pa.scalar(value), length)
        for name, value in pattern.items()
    }
    pq.write_table(pa.table(arrays), path, row_group_size=ROW_GROUP)
    return path


def columns(frames, episodes, seed=0, mean=0.4):
    """Return NMR around ``mean`` of ``frames`` frames in as many ``episodes`` of a length, at 10 Hz."""
    values = np.clip(np.random.default_rng(seed).normal(mean, 0.1, frames), 0, 1)
    names = [f"bag/{place * episodes // frames}" for place in range(frames)]
    places = np.arange(frames)
    return {
        "episode": names,
        "frame": places,
        "stamp": places * 100_000_000,
        "seconds": places * 0.1,
        "nmr_10": values,
    }


@contextmanager
def peak_below(megabytes):
    """Fail where more memory is taken within the block, by Python, NumPy and Arrow."""
    usual = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] + counted.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    assert peak / 1e6 < megabytes, f"{peak / 1e6:.0f} MB were taken, {megabytes} are allowed"
