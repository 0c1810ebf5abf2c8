import pytest

from vla_iss_ros.cli.region_options import read_regions
from vla_iss_ros.settings import check

SETTINGS = check({})


def read(*places):
    return read_regions(places, SETTINGS, ["robot"], ["cup"])


def test_topics_files_and_none(tmp_path):
    (tmp_path / "front.png").write_bytes(b"x")
    assert read().chosen_topics() == {}
    assert read("none").chosen_topics() == {"labels": {}}
    assert read("front=/seg", "wrist=/seg2").topics == {"front": "/seg", "wrist": "/seg2"}
    static = read(f"front={tmp_path / 'front.png'}")
    assert static.files.places == (("front", tmp_path / "front.png"),)
    assert static.files.names.objects == ("cup",)
    assert read(str(tmp_path)).files.places == (("front", tmp_path / "front.png"),)


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (["side=/seg"], "CAMERA one of front, wrist"),
        (["front=", "wrist=/a"], "must be CAMERA=WHERE"),
        (["front=missing.png"], "is no file, no directory and no topic"),
        (["none", "front=/a"], "stands alone"),
    ],
)
def test_bad_places_are_refused(places, reason):
    with pytest.raises(ValueError, match=reason):
        read(*places)
