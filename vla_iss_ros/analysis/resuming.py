# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a directory's pieces can be used by another start, and making it ready for that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vla_iss_ros.analysis.identity import run_differences
from vla_iss_ros.analysis.run_directory import DamagedInfoError, RunDirectory


class ResumeError(ValueError):
    """The directory holds another run; the text says what differs and what to do."""


def earlier_info(directory: RunDirectory, restart: bool) -> dict[str, Any] | None:
    """Return run.json of an earlier start, None where there is none; a restart takes a damaged one for none."""
    try:
        return directory.read_info()
    except DamagedInfoError:
        if not restart:
            raise
        return None


def is_explained(before: Mapping[str, Any] | None, whole: Collection[str]) -> bool:
    """Tell whether the pieces that are ``whole`` are all that an earlier start had planned."""
    # The status does not tell: it is "running" as well while the outputs of finished pieces are made again.
    planned = 0 if before is None else before.get("counts", {}).get("pieces", 0)
    return 0 < planned <= len(whole)


def _is_foreign(path: Path, directory: RunDirectory) -> bool:
    """Tell whether a file is none of those that a start leaves which is killed before it has written run.json."""
    return path.name != ".lock" and not path.match(f".{directory.info.name}.*.partial")


def prepare(
    directory: RunDirectory, before: Mapping[str, Any] | None, about: Mapping[str, Any], restart: bool
) -> None:
    """Make the directory ready for this run; keep the pieces of an earlier start of the same run."""
    if before is None and directory.info.exists():
        # A damaged run.json does not say which cameras there were; these are the best guess.
        directory.remove_outputs(about["cameras"])
    elif before is None and any(_is_foreign(each, directory) for each in directory.path.iterdir()):
        raise ResumeError(f"'{directory.path}' holds other files and no analysis; choose another directory")
    elif before is not None:
        found = run_differences(before, _as_json(about))
        worth_keeping = before["status"] == "complete" or any(directory.pieces.glob("*.piece"))
        if found and worth_keeping and not restart:
            raise ResumeError(
                f"'{directory.path}' holds another run: {'; '.join(found)}; "
                "choose another directory, or --restart to throw it away"
            )
        if found or restart:
            directory.write_info({**before, "status": "running"})
            directory.remove_outputs(before["cameras"])
    for each in directory.path.rglob(".*.partial"):
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _as_json(value: Any) -> Any:
    """Return ``value`` as it comes back from JSON."""
    return json.loads(json.dumps(value, default=str))
