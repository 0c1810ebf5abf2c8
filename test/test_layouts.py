# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The viewers' layouts hang together; that their topics exist is tested with the running nodes."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import yaml

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
READERS = {".json": json.loads, ".xml": ElementTree.fromstring, ".rviz": yaml.safe_load}


def leaves(layout):
    if isinstance(layout, str):
        return [layout]
    return leaves(layout["first"]) + leaves(layout["second"])


def test_every_panel_of_the_foxglove_layout_has_one_place():
    document = json.loads((CONFIG / "foxglove_layout.json").read_text())
    panels = document["configById"]
    placed = leaves(document["layout"])
    for tab in (panel for name, panel in panels.items() if name.startswith("Tab!")):
        placed += [leaf for each in tab["tabs"] for leaf in leaves(each["layout"])]
    assert sorted(placed) == sorted(panels)
    for panel in panels.values():
        assert all(path["enabled"] for path in panel.get("paths", ()))


def test_the_documented_command_makes_layouts_of_other_cameras():
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    files = re.search(r"for file in (.+); do", text)[1].split()
    (command,) = re.findall(r"sed '(.+)' \$share/\$file", text)
    assert len(files) == 3
    for file in files:
        layout = (ROOT / file).read_text(encoding="utf-8")
        for pattern, name in re.findall(r"s/(.+?)/(.+?)/g", command):
            assert re.search(pattern, layout)
            layout = re.sub(pattern, name, layout)
        assert not re.search("front|wrist", layout, re.IGNORECASE)
        assert READERS[Path(file).suffix](layout)


def test_every_splitter_of_the_plotjuggler_layout_has_as_many_parts_as_it_says():
    tree = ElementTree.parse(CONFIG / "plotjuggler_layout.xml")
    splitters = list(tree.iter("DockSplitter"))
    assert splitters
    for splitter in splitters:
        sizes = [float(size) for size in splitter.get("sizes").split(";")]
        assert len(sizes) == len(splitter) == int(splitter.get("count"))
        assert abs(sum(sizes) - 1) < 1e-3
    assert all(list(plot.iter("curve")) for plot in tree.iter("plot"))
