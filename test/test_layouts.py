"""The viewers' layouts hang together; that their topics exist is tested with the running nodes."""

import json
from pathlib import Path
from xml.etree import ElementTree

CONFIG = Path(__file__).parents[1] / "config"


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


def test_every_splitter_of_the_plotjuggler_layout_has_as_many_parts_as_it_says():
    tree = ElementTree.parse(CONFIG / "plotjuggler_layout.xml")
    splitters = list(tree.iter("DockSplitter"))
    assert splitters
    for splitter in splitters:
        sizes = [float(size) for size in splitter.get("sizes").split(";")]
        assert len(sizes) == len(splitter) == int(splitter.get("count"))
        assert abs(sum(sizes) - 1) < 1e-3
    assert all(list(plot.iter("curve")) for plot in tree.iter("plot"))
