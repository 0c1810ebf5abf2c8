# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the viewers' layouts show: topics, and values in /diagnostics."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
FOXGLOVE = ROOT / "config" / "foxglove_layout.json"
PLOTJUGGLER = ROOT / "config" / "plotjuggler_layout.xml"
RVIZ = ROOT / "rviz" / "iss.rviz"
STATUS = re.compile(
    r'^/diagnostics\.status\[:\]\{name=="([^"]+)"\}\.(?:level|values\[:\]\{key=="([^"]+)"\}\.value)$'
)
CURVE = re.compile(r"^/diagnostics/HARDWARE_ID/(/[^/]+)/(.+)$")
SHOWN = re.compile(r"Value: (iss_node/\S+)")


def foxglove():
    """Return (topics, {(status, key or None)}) of the Foxglove layout."""
    panels = json.loads(FOXGLOVE.read_text())["configById"]
    topics, values = set(), set()
    for panel in panels.values():
        topics |= {panel[key] for key in ("topicToRender",) if key in panel}
        topics |= {panel["imageMode"]["imageTopic"]} if "imageMode" in panel else set()
        for path in panel.get("paths", ()):
            found = STATUS.match(path["value"])
            if found:
                values.add(found.groups())
            else:
                topics.add(path["value"].rpartition(".")[0])
    return topics, values


def plotjuggler():
    """Return (topics, {(status, key)}) of the PlotJuggler layout."""
    topics, values = set(), set()
    for curve in ElementTree.parse(PLOTJUGGLER).iter("curve"):
        found = CURVE.match(curve.get("name"))
        if found:
            values.add(found.groups())
        else:
            topics.add(curve.get("name").rpartition("/")[0])
    return topics, values


def rviz():
    """Return (topics, nothing) of the RViz configuration, as seen without a namespace."""
    return {f"/{topic}" for topic in SHOWN.findall(RVIZ.read_text())}, set()


LAYOUTS = {"foxglove": foxglove, "plotjuggler": plotjuggler, "rviz": rviz}


def shown(layout, node):
    """Return what of a layout comes from ``node``: (topics, {(status, key)})."""
    topics, values = LAYOUTS[layout]()
    mine = {topic for topic in topics if topic.startswith(f"{node}/")}
    return mine, {pair for pair in values if pair[0].startswith(f"{node}: ")}
