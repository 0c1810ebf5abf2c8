# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest

from vla_iss_ros.analysis.pieces import Piece, StoredPiece

STAMP = 7


@pytest.fixture
def path(tmp_path):
    """Return the file of a piece with two pictures, and problems enough to be compressed."""
    piece = Piece("a", images={(STAMP, "front"): b"front" * 40, (STAMP, "wrist"): b"wrist" * 40})
    piece.problems.update({f"reason {number}": number for number in range(300)})
    piece.write(tmp_path / "a.piece")
    return tmp_path / "a.piece"


def checked(path):
    with StoredPiece(path) as piece:
        piece.check()
        return piece


def overwritten(path, start, length):
    data = bytearray(path.read_bytes())
    data[start : start + length] = bytes(len(data[start : start + length]))
    path.write_bytes(data)


def test_a_whole_piece_is_read_back(path):
    piece = checked(path)
    assert piece.name == "a"
    assert len(piece.problems) == 300


@pytest.mark.parametrize("offset", range(0, 400, 28))
def test_damaged_compressed_text_is_told_in_one_line(path, offset):
    overwritten(path, path.read_bytes().index(b"piece.json") + len("piece.json") + offset, 200)
    with pytest.raises(
        ValueError, match=r"a\.piece' is not a piece of an analysis: .*; remove it$"
    ) as raised:
        checked(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kept", [0, 1, 30, 500, -1])
def test_a_piece_that_is_cut_off_is_told_in_one_line(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="is not a piece of an analysis"):
        checked(path)


def test_a_damaged_picture_is_told_when_it_is_read(path):
    overwritten(path, path.read_bytes().index(b"wristwrist"), 10)
    with StoredPiece(path) as piece:
        assert piece.image(STAMP, "front") == b"front" * 40
        with pytest.raises(ValueError, match=r"is not a piece of an analysis: .*CRC"):
            piece.image(STAMP, "wrist")
        with pytest.raises(ValueError, match="CRC"):
            piece.check()
