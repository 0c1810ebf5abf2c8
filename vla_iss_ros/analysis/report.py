# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The HTML report of a run: one file with everything in it."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from vla_iss_ros.analysis.bootstrap import interval_note
from vla_iss_ros.analysis.frame_columns import FrameColumns
from vla_iss_ros.analysis.frame_table import FrameRow
from vla_iss_ros.analysis.report_figures import (
    MOST_POINTS,
    EffectMean,
    EpisodeValues,
    episode_values,
    mean_chance,
    mean_effects,
    mean_ratio,
    timeline,
    worst_frames,
)
from vla_iss_ros.analysis.report_page import html_page, interval_plot
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.text import with_interval
from vla_iss_ros.settings import BY_NAME

# A modality whose share is below this hardly moves the action.
HARDLY = 0.02
# Of more episodes than this only the ends of the list are shown.
MOST_EPISODES = 300
WORST_EPISODES, BEST_EPISODES = 100, 20
OPEN_EPISODES = 30
MOST_NAMED = 300
MOST_REASONS = 20
REGIONS_HELP = (
    "NMR needs to know which pixels are robot, object and nuisance. Give analyze_bag --regions: a label topic a "
    "camera, a label image a camera that does not move, label images or LabelMe files named by stamp, or "
    "COCO annotations."
)


def write_report(directory: Path) -> Path | None:
    """Write ``report.html`` of the complete run in ``directory`` and return its path; None when there is none yet."""
    with AnalysisRun.open(directory) as run:
        columns = FrameColumns.of(run.rows, run.settings.nmr_percent)
        sections = [
            _answers(run, columns),
            _effects(columns),
            _timeline(columns, run.settings.nmr_percent),
            _frames(run, columns),
            _episodes(columns, run.settings.nmr_percent, run.settings.seed),
            _about(run),
        ]
    names = list(run.info["identity"]["sources"])
    about = names[0] if len(names) == 1 else f"{len(names)} recordings"
    page = html_page(f"{run.settings.policy} on {about}", sections)
    path = RunDirectory(directory).report
    write_atomically(path, page.encode())
    return path


def _answers(run: AnalysisRun, columns: FrameColumns) -> str:
    percent = run.settings.nmr_percent
    found = mean_ratio(columns, run.settings.seed)
    counts = run.info["counts"]
    base = f"{counts['frames']} frames, {counts['explained']} explained, {counts['episodes']} episodes"
    recordings = _recordings(list(run.info["identity"]["sources"]))
    if found.count == 0:
        why = escape("; ".join(sorted(columns.reasons)[:3]))
        said = f'<p class="headline">NMR@{percent} is undefined</p><p>{why}. {REGIONS_HELP}</p>'
        return f'<section>{said}<p class="soft">{base}.</p>{recordings}</section>'
    chance = mean_chance(columns)
    value = with_interval(found.value, found.low, found.high)
    judged = _judged(found.low, found.high, chance)
    said = f"Of the {percent} % most salient positions, {found.value:.0%} lie on nuisance: {judged}"
    note = f"{base}; means are over explained frames. {interval_note(found.episodes)}"
    return (
        f'<section><p class="headline">NMR@{percent} {value} <span class="soft">chance {chance:.2f}</span></p>'
        f"{interval_plot([('nmr', found)], chance)}"
        f'<p>{said}</p><p class="soft">{note}</p>{recordings}</section>'
    )


def _recordings(names: Sequence[str]) -> str:
    """Return the list of the recordings where there are several, closed."""
    if len(names) < 2:
        return ""
    items = "".join(f"<li>{escape(name)}</li>" for name in names[:MOST_NAMED])
    more = f"<p>{len(names) - MOST_NAMED} more in run.json.</p>" if len(names) > MOST_NAMED else ""
    return f"<details><summary>{len(names)} recordings</summary><ul>{items}</ul>{more}</details>"


def _judged(low: float, high: float, chance: float) -> str:
    if math.isnan(low) or math.isnan(chance):
        return "too few frames to tell it from chance."
    if low > chance:
        return "more than a map that ranks at random would have."
    if high < chance:
        return "fewer than a map that ranks at random would have."
    return "as many as a map that ranks at random would have."


def _effects(columns: FrameColumns) -> str:
    effects = mean_effects(columns)
    if not effects:
        return (
            "<section><h2>What does it use?</h2><p>Effects were not measured (setting effects).</p></section>"
        )
    lines = "".join(f"<tr>{_effect(each)}</tr>" for each in effects)
    return (
        "<section><h2>What does it use?</h2><table><tr><th>replaced</th><th>answer</th>"
        '<th class="bars">how far the action moves</th>'
        f'<th class="n">share</th><th class="n">delta</th></tr>{lines}</table>'
        '<p class="soft">Share: of the divergence when everything is replaced; shares need not add up to 100 %.</p>'
        "</section>"
    )


def _effect(effect: EffectMean) -> str:
    name = escape(effect.name.replace("camera_", "camera ", 1))
    if math.isnan(effect.share):
        nothing = '<td class="bars"></td><td class="n">-</td><td class="n">-</td>'
        return f"<td>{name}</td><td>unknown: {escape(effect.reason)}</td>{nothing}"
    width = min(100.0, 100 * effect.share)
    answer = "hardly used" if effect.share < HARDLY else "used"
    return (
        f"<td>{name}</td><td>{answer}</td>"
        f'<td class="bars"><div class="bar"><i style="width:{width:.1f}%"></i></div></td>'
        f'<td class="n">{effect.share:.1%}</td><td class="n">{effect.delta:.3g}</td>'
    )


def _timeline(columns: FrameColumns, percent: int) -> str:
    if np.isnan(columns.value).all():
        return ""
    if len(columns) <= MOST_POINTS:
        said = "Solid: NMR, with the 95 % intervals of the frames."
    else:
        said = "Solid: mean NMR of neighbouring frames. Band: from the least to the greatest NMR among them."
    return (
        f"<section><h2>NMR@{percent} over the frames</h2>"
        f'<div class="scroll"><div class="wide">{timeline(columns, percent)}</div></div>'
        f'<p class="soft">{said} Dashed: chance. Dotted, where there are few: a new episode. Lines break where NMR is '
        "undefined.</p></section>"
    )


def _frames(run: AnalysisRun, columns: FrameColumns) -> str:
    figures = "".join(_figure(run, run.rows[place]) for place in worst_frames(columns))
    return f'<section><h2>Frames to look at first</h2><div class="frames">{figures}</div></section>'


def _figure(run: AnalysisRun, row: FrameRow) -> str:
    ratio = row.ratios[run.settings.nmr_percent]
    value = "undefined" if math.isnan(ratio.value) else with_interval(ratio.value, ratio.low, ratio.high)
    images = "".join(_image(run.overlay(row, camera), camera) for camera in run.cameras)
    caption = escape(f"{row.episode}, frame {row.frame}, {row.seconds:.2f} s: NMR {value}. {row.instruction}")
    return f'<figure><div>{images}</div><figcaption class="soft">{caption}</figcaption></figure>'


def _image(picture: np.ndarray, camera: str) -> str:
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    return f'<img alt="overlay of {escape(camera)}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'


def _episodes(columns: FrameColumns, percent: int, seed: int) -> str:
    episodes, note = _shown(list(episode_values(columns)))
    head = (
        '<tr><th>episode</th><th>instruction</th><th class="n">frames</th>'
        f'<th class="n">NMR@{percent}</th><th class="n">chance</th></tr>'
    )
    tables = [
        f'<div class="scroll"><table>{head}{"".join(_episode(each, seed) for each in some)}</table></div>'
        for some in (episodes[:OPEN_EPISODES], episodes[OPEN_EPISODES:])
        if some
    ]
    more = "".join(
        f"<details><summary>{len(episodes) - OPEN_EPISODES} more episodes</summary>{each}</details>"
        for each in tables[1:]
    )
    soft = '<p class="soft">The interval of an episode is over its own explained frames.</p>'
    return f"<section><h2>Episodes</h2>{note}{tables[0]}{more}{soft}</section>"


def _shown(episodes: Sequence[EpisodeValues]) -> tuple[Sequence[EpisodeValues], str]:
    """Return the episodes to show: all in order, or of too many both ends by NMR, with words that say so."""
    if len(episodes) <= MOST_EPISODES:
        return episodes, ""
    known = sorted((each for each in episodes if not math.isnan(each.mean)), key=lambda each: -each.mean)
    where = "All frames of all episodes are in frames.csv."
    if len(known) <= WORST_EPISODES + BEST_EPISODES:
        shown = [*known, *(each for each in episodes if math.isnan(each.mean))][
            : WORST_EPISODES + BEST_EPISODES
        ]
        return shown, f"<p>{len(shown)} of {len(episodes)} episodes, highest NMR first. {where}</p>"
    said = f"The {WORST_EPISODES} episodes with the highest NMR, then the {BEST_EPISODES} with the lowest"
    return known[:WORST_EPISODES] + known[-BEST_EPISODES:], f"<p>{said}, of {len(episodes)}. {where}</p>"


def _episode(episode: EpisodeValues, seed: int) -> str:
    found, chance = episode.interval(seed), episode.chance
    value = "-" if found.count == 0 else with_interval(found.value, found.low, found.high)
    return (
        f'<tr><td class="name">{escape(episode.name)}</td><td>{escape(episode.instruction)}</td>'
        f'<td class="n">{episode.frames}</td><td class="n">{value}</td>'
        f'<td class="n">{"-" if math.isnan(chance) else f"{chance:.2f}"}</td></tr>'
    )


def _about(run: AnalysisRun) -> str:
    info = run.info
    changed = {
        name: value
        for name, value in info["settings"].items()
        if name in BY_NAME and value != BY_NAME[name].default
    }
    facts = {
        "policy": f"{run.settings.policy}, SHA-256 {info['identity']['policy hash'] or 'unknown'}",
        "samples a frame": run.settings.samples,
        "baseline": run.settings.baseline,
        "estimator": run.settings.estimator,
        "seed": run.settings.seed,
        "stride": info["identity"]["stride"],
        "left out or missing": _few([f"{reason}: {count}" for reason, count in info["problems"].items()])
        or "nothing",
        "recordings skipped": _few(list(info["skipped"].values())) or "none",
        "versions": ", ".join(f"{name} {version}" for name, version in info["versions"].items()),
    }
    lines, others = _facts(facts), _facts(changed)
    return (
        f"<section><h2>How it was made</h2><table class='facts'>{lines}</table>"
        "<details><summary>Settings that are not the default</summary>"
        f"<table class='facts'>{others or '<tr><td>none</td></tr>'}</table></details><p class='soft'>A map shows "
        "which pixels the action depends on when they are replaced by the chosen baseline. It does not show "
        "attention, nor what would make the policy succeed.</p></section>"
    )


def _facts(facts: Mapping[str, object]) -> str:
    return "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in facts.items()
    )


def _few(texts: Sequence[str]) -> str:
    """Return some texts as one, with the number of those that are left to run.json."""
    more = [f"{len(texts) - MOST_REASONS} more in run.json"] if len(texts) > MOST_REASONS else []
    return "; ".join([*texts[:MOST_REASONS], *more])
