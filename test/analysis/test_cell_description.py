# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch

from vla_iss_ros.analysis.cell_description import cells_of, describe_cells
from vla_iss_ros.iss.cells import CellGrid, View
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded, Segment

PIXELS = CellGrid((View("front", 8, 9, (1, 0, 6, 9)),), 3, 3)
SEGMENTS = (
    Segment(CAMERA, 0, 8, "front", (2, 4), (0.5, 0.0, 1.5, 4.0)),
    Segment(INSTRUCTION, 8, 10, words=("go",), word_of=(0, 0)),
)
TOKENS = TokenCells.over(Encoded(torch.zeros(1, 10, 2), SEGMENTS), 2)


@pytest.mark.parametrize("cells", [PIXELS, TOKENS, TOKENS.images()])
def test_cells_survive_a_round_trip(cells):
    assert cells_of(json.loads(json.dumps(describe_cells(cells)))) == cells


def test_cells_of_images_leave_the_words_out():
    assert PIXELS.images() is PIXELS
    assert TOKENS.images().count == TOKENS.image_count == TOKENS.count - 1


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="got 'voxel'"):
        cells_of({"kind": "voxel", "views": []})
    with pytest.raises(TypeError, match="got int"):
        describe_cells(3)
