# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes what benchmarks/estimators.py measured to docs/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from convergence import COUNTS, LONG_COUNTS, PAPER, Curves
from matplotlib import pyplot
from reference_maps import FRAMES, REFERENCE_SAMPLES

TEXT = """# How many policy runs a map needs, and how sure it is

Written by `scripts/env python benchmarks/estimators.py`; every block below is what that command printed.

Frames are from the sample bag, under the two shipped policies ({frames} frames; {repetitions} repetitions of the tables
by estimator). A reference map is `hajek` on {samples:,} balanced masks. `emulator` was developed, and its widening
chosen, on other episodes of the same three tasks under the same two policies: the frames are held out, the policies are
not.

![Correlation with the converged map against the number of samples](estimators.png)

## What N samples are worth

The package's own loop at its defaults. Seconds are those of an explanation without effects, on a machine that other
work shares, without a GPU.

```
{accuracy}
```

## Every estimator

All but `horvitz_thompson` and `hajek, independent` get balanced masks; these two get independent ones, as in the paper.

The paper's p = 0.3 is a probability to keep a cell in its public code (q = 0.7 here), and a published summary reads as
if it were one to replace it (q = 0.3 here, this package's default). Both are shown.

q = 0.3, keep 0.7:

```
{replaced}
```

q = 0.7, keep 0.3:

```
{kept}
```

## Designs of the masks

```
{designs}
```

## Coverage

The package's own loop, seeds and blocks. `cells`: share of the cells whose 95 % interval holds the converged contrast
(the reference's own standard error added); `large cells`: those above a tenth of the largest. `NMR@10`: share of frames
and seeds whose interval holds the converged NMR@10. The last row stops where half the interval's width is at most 0.1,
with the correction for looking several times.

```
{calibration}
```

## Along an episode

```
{streams}
```

## Overhead and memory

```
{overhead}
```

## Beside other methods

See [speed.md](speed.md) for what each method is.

```
{peers}
```
"""


def write(directory: Path, found: Sequence[Curves], parts: Mapping[str, str], repetitions: int) -> None:
    """Write estimators.md and estimators.png, both to temporary names first."""
    picture, page = directory / "estimators.png", directory / "estimators.md"
    partial = picture.with_suffix(".partial.png")
    plot(found, partial)
    partial.rename(picture)
    partial = page.with_suffix(".partial")
    partial.write_text(
        TEXT.format(frames=len(FRAMES), samples=REFERENCE_SAMPLES, repetitions=repetitions, **parts)
    )
    partial.rename(page)


def plot(found: Sequence[Curves], path: Path) -> None:
    """Draw one panel a probability of replacement, one line an estimator."""
    figure, panels = pyplot.subplots(1, len(found), figsize=(11, 4.6), sharey=True, layout="constrained")
    for panel, curves in zip(panels, found, strict=True):
        for index, name in enumerate(sorted(curves.names())):
            values = curves.mean("correlation", name)
            counts = LONG_COUNTS if len(values) > len(COUNTS) else COUNTS
            width = 2.8 if name in ("emulator", PAPER) else 1.4
            panel.plot(
                counts, values, marker="o", markersize=4, linewidth=width, color=f"C{index}", label=name
            )
        panel.axhline(0.9, color="0.6", linewidth=0.8, linestyle="--")
        panel.set_xscale("log", base=2)
        panel.set_xticks(LONG_COUNTS, [str(count) for count in LONG_COUNTS])
        panel.set_xlabel("policy runs a frame (N)")
        panel.set_title(f"q = {curves.probability} (keep {1 - curves.probability:.1f})")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("correlation with the converged map")
    panels[0].set_ylim(0, 1)
    panels[-1].legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
