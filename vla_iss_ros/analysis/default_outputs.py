# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The outputs of an analysis, and which of them it can do without."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from vla_iss_ros.analysis.outputs import MapSink, Sink, TableSink
from vla_iss_ros.analysis.published import BagSink
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.analysis.videos import VideoSink

# Outputs that table and report do without.
OPTIONAL = ("maps", "videos", "mcap")


def default_sinks(
    directory: RunDirectory, settings: Any, metadata: Mapping[str, Any], without: Collection[str] = ()
) -> list[Sink]:
    """Return the sinks of all outputs but those of ``OPTIONAL`` that are named in ``without``."""
    optional: dict[str, Callable[[], Sink]] = {
        "maps": lambda: MapSink(directory, metadata),
        "videos": lambda: VideoSink(directory),
        "mcap": lambda: BagSink(directory),
    }
    return [TableSink(directory), *(optional[name]() for name in OPTIONAL if name not in without)]
