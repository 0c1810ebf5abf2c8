"""The HTML report of a run: one file with everything in it."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from vla_iss_ros.analysis.episodes import INTERVAL_NOTE
from vla_iss_ros.analysis.frame_table import FrameRow
from vla_iss_ros.analysis.report_figures import (
    EffectMean,
    by_episode,
    mean,
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
MOST_EPISODES = 500
REGIONS_HELP = (
    "NMR needs to know which pixels are robot, object and nuisance. Give analyze_bag --regions: a label topic a "
    "camera, a label image a camera that does not move, label images or LabelMe files named by stamp, or "
    "COCO annotations."
)


def write_report(directory: Path) -> Path | None:
    """Write ``report.html`` of the complete run in ``directory`` and return its path; None when there is none yet."""
    with AnalysisRun.open(directory) as run:
        sections = [_answers(run), _effects(run), _timeline(run), _frames(run), _episodes(run), _about(run)]
    title = f"{run.settings.policy} on {', '.join(run.info['identity']['sources'])}"
    page = html_page(title, sections)
    path = RunDirectory(directory).report
    write_atomically(path, page.encode())
    return path


def _answers(run: AnalysisRun) -> str:
    percent = run.settings.nmr_percent
    found = mean_ratio(run.rows, percent, run.settings.seed)
    counts = run.info["counts"]
    base = f"{counts['frames']} frames, {counts['explained']} explained, {counts['episodes']} episodes"
    if found.count == 0:
        reasons = sorted({row.reason for row in run.rows if row.reason})
        why = escape("; ".join(reasons[:3]))
        said = f'<p class="headline">NMR@{percent} is undefined</p><p>{why}. {REGIONS_HELP}</p>'
        return f'<section>{said}<p class="soft">{base}.</p></section>'
    chance = mean([row.chance for row in run.rows])
    value = with_interval(found.value, found.low, found.high)
    judged = _judged(found.low, found.high, chance)
    said = f"Of the {percent} % most salient positions, {found.value:.0%} lie on nuisance: {judged}"
    return (
        f'<section><p class="headline">NMR@{percent} {value} <span class="soft">chance {chance:.2f}</span></p>'
        f"{interval_plot([('nmr', found)], chance)}"
        f'<p>{said}</p><p class="soft">{base}. {INTERVAL_NOTE}</p></section>'
    )


def _judged(low: float, high: float, chance: float) -> str:
    if math.isnan(low) or math.isnan(chance):
        return "too few frames to tell it from chance."
    if low > chance:
        return "more than a map that ranks at random would have."
    if high < chance:
        return "fewer than a map that ranks at random would have."
    return "as many as a map that ranks at random would have."


def _effects(run: AnalysisRun) -> str:
    effects = mean_effects(run.rows)
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


def _timeline(run: AnalysisRun) -> str:
    percent = run.settings.nmr_percent
    if all(math.isnan(row.ratios[percent].value) for row in run.rows):
        return ""
    return (
        f"<section><h2>NMR@{percent} over the frames</h2>"
        f'<div class="scroll"><div class="wide">{timeline(run.rows, percent)}</div></div>'
        '<p class="soft">Solid: NMR, with the 95 % intervals of the frames. Dashed: chance. Dotted: a new episode.</p>'
        "</section>"
    )


def _frames(run: AnalysisRun) -> str:
    rows = worst_frames(run.rows, run.settings.nmr_percent)
    figures = "".join(_figure(run, row) for row in rows)
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


def _episodes(run: AnalysisRun) -> str:
    percent, episodes = run.settings.nmr_percent, by_episode(run.rows)
    lines = [
        _episode(name, rows, percent, run.settings.seed)
        for name, rows in list(episodes.items())[:MOST_EPISODES]
    ]
    more = (
        f"<p>{len(episodes) - MOST_EPISODES} more in frames.csv.</p>" if len(episodes) > MOST_EPISODES else ""
    )
    return (
        '<section><h2>Episodes</h2><div class="scroll"><table><tr><th>episode</th><th>instruction</th>'
        '<th class="n">frames</th>'
        f'<th class="n">NMR@{percent}</th><th class="n">chance</th></tr>{"".join(lines)}</table></div>{more}</section>'
    )


def _episode(name: str, rows: Sequence[FrameRow], percent: int, seed: int) -> str:
    found = mean_ratio(rows, percent, seed)
    value = "-" if found.count == 0 else with_interval(found.value, found.low, found.high)
    chance = mean([row.chance for row in rows])
    return (
        f'<tr><td>{escape(name)}</td><td>{escape(rows[0].instruction)}</td><td class="n">{len(rows)}</td>'
        f'<td class="n">{value}</td><td class="n">{"-" if math.isnan(chance) else f"{chance:.2f}"}</td></tr>'
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
        "left out or missing": "; ".join(f"{reason}: {count}" for reason, count in info["problems"].items())
        or "nothing",
        "recordings skipped": "; ".join(info["skipped"].values()) or "none",
        "versions": ", ".join(f"{name} {version}" for name, version in info["versions"].items()),
    }
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in facts.items()
    )
    others = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in changed.items()
    )
    return (
        f"<section><h2>How it was made</h2><table class='facts'>{lines}</table>"
        "<details><summary>Settings that are not the default</summary>"
        f"<table class='facts'>{others or '<tr><td>none</td></tr>'}</table></details><p class='soft'>A map shows "
        "which pixels the action depends on when they are replaced by the chosen baseline. It does not show "
        "attention, nor what would make the policy succeed.</p></section>"
    )
