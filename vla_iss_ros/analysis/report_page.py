# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The look that all HTML pages share: one file with everything in it, for a desk, a phone and the dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from vla_iss_ros.analysis.bootstrap import MeanInterval

STYLE = """
:root{--ink:#1b2430;--soft:#5d6b7c;--line:#dde3ea;--page:#f5f7fa;--card:#fff;--nmr:#b3541e;--chance:#33658a;--bar:#4a7fb0}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf1;--soft:#97a6b6;--line:#303b48;--page:#12181f;--card:#1b232d;
--nmr:#f0975a;--chance:#7fb3dd;--bar:#5f97c8}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1100px;margin:0 auto;padding:24px}h1{font-size:1.6rem;margin:.2em 0}h2{font-size:1.15rem;margin:0 0 .6em}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px;margin:18px 0}
.soft{color:var(--soft);font-size:.9rem}.headline{font-size:2.4rem;font-weight:650;line-height:1.15}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}td,th{padding:5px 10px;text-align:left;
border-bottom:1px solid var(--line);vertical-align:middle}td.n,th.n{text-align:right}td.n{white-space:nowrap}
.scroll{overflow-x:auto}.facts td,.name,h1,p{overflow-wrap:anywhere}.name{min-width:170px}
.bar{background:var(--line);border-radius:4px;height:12px;min-width:140px}.bar i{display:block;height:12px;
background:var(--bar);border-radius:4px}.frames{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));
gap:18px}
figure{margin:0}figure div{display:flex;gap:6px}figure img{width:50%;flex:1;min-width:0;border-radius:6px;
align-self:start}
svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--soft)}.grid{stroke:var(--line)}
.episode{stroke:var(--soft);stroke-dasharray:2 3}.band{fill:var(--nmr);opacity:.18}polyline{fill:none;stroke-width:2}
.dense .band{opacity:.45;stroke:var(--nmr)}.dense polyline.nmr{stroke-width:1}
circle.nmr{fill:var(--nmr);stroke:none}circle.chance{fill:var(--chance);stroke:none}
.nmr{stroke:var(--nmr)}.chance{stroke:var(--chance);stroke-dasharray:6 4}summary{cursor:pointer;font-weight:600;
margin:.5em 0}
.plot{height:auto;max-width:640px;display:block}.plot .nmr{stroke-width:3}.plot circle{fill:var(--nmr);stroke:none}
.plot .before{stroke:var(--chance);stroke-width:3}.plot circle.before{fill:var(--chance)}.bars{width:34%}
td .plot{min-width:180px}th{font-weight:600}a{color:var(--bar)}p.headline{margin:.1em 0 .3em}
@media(max-width:640px){main{padding:10px}section{padding:14px;margin:12px 0}.headline{font-size:1.8rem}
td,th{padding:5px 6px}.bar{min-width:50px}.wide{min-width:620px}.frames{grid-template-columns:1fr}
table{font-size:.9rem}}
"""


def html_page(title: str, sections: Sequence[str]) -> str:
    """Return a page; ``title`` is text, ``sections`` are HTML."""
    name = escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{name}</h1>{''.join(sections)}</main></body></html>\n"
    )


def interval_plot(lines: Sequence[tuple[str, MeanInterval]], chance: float = math.nan) -> str:
    """Return means with their intervals on a scale from 0 to 1, as SVG, with ``chance`` as a dashed line.

    ``lines``: style (nmr or before) and mean, the first one on top; what is NaN is left out.
    """
    height = 16 * len(lines) + 24

    def x(value: float) -> str:
        return f"{10 + 400 * min(1.0, max(0.0, value)):.1f}"

    parts = [
        f'<svg class="plot" viewBox="0 0 420 {height}" role="img" aria-label="mean and interval, from 0 to 1">'
    ]
    for value in (0, 0.5, 1):
        parts.append(f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="2" y2="{height - 16}"/>')
        parts.append(f'<text x="{x(value)}" y="{height - 3}" text-anchor="middle">{value:g}</text>')
    if math.isfinite(chance):
        parts.append(f'<line class="chance" x1="{x(chance)}" x2="{x(chance)}" y1="2" y2="{height - 16}"/>')
    for place, (style, mean) in enumerate(lines):
        y = 12 + 16 * place
        if math.isfinite(mean.low) and math.isfinite(mean.high):
            parts.append(f'<line class="{style}" x1="{x(mean.low)}" x2="{x(mean.high)}" y1="{y}" y2="{y}"/>')
        if math.isfinite(mean.value):
            parts.append(f'<circle class="{style}" cx="{x(mean.value)}" cy="{y}" r="5"/>')
    return "".join([*parts, "</svg>"])
