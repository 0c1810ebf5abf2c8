# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bags that do not fit into memory, and disks that fill up."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bag_factory import sample_messages, write_bag
from recorded_run import analysed, order

from vla_iss_ros.analysis import pieces
from vla_iss_ros.analysis.bag_analysis import analyse
from vla_iss_ros.analysis.default_outputs import default_sinks
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.run_directory import RunDirectory

LARGE = """
import resource, sys
from pathlib import Path
import numpy as np
from bag_factory import CAMERAS, NAMES, START, STEP, jpeg, label_png
from message_factory import Image, Header, Time, String, compressed, joint_state
from recorded_run import order
from vla_iss_ros.analysis.bag_analysis import analyse
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.writer import BagWriter
from vla_iss_ros.messages.encoding import encode_image

SIDE = (480, 640)

def write(path, frames):
    with BagWriter(path) as writer:
        writer.write("/instruction", String("press the button"), START)
        for index in range(frames):
            stamp = START + index * STEP
            pixels = np.full((*SIDE, 3), 40 + index % 100, np.uint8)
            header = Header(stamp=Time(*divmod(stamp, 10**9)), frame_id="front")
            writer.write("/front/image/compressed", encode_image(pixels, header, Image, "rgb8"), stamp)
            small = np.full((48, 64, 3), index % 200, np.uint8)
            writer.write("/wrist/image/compressed", compressed(jpeg(small), "jpeg", stamp), stamp)
            writer.write("/end_effector_state", joint_state(NAMES, [0.1, 0.2, 0.3, 1.0], stamp), stamp)
    return path

def allocated():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmData"))

def run(name, frames):
    bag = write(Path(sys.argv[1]) / name, frames)
    asked = order(bag, stride=16, samples=32, effects=False)
    outcome = analyse(asked, RunDirectory(Path(sys.argv[1]) / f"{name}_out"), SerialEngine(ahead=4))
    assert outcome.frames == frames, outcome
    return sum(file.stat().st_size for file in bag.iterdir())

run("small", 33)
before = allocated()
size_of_bag = 150 * SIDE[0] * SIDE[1] * 3
# Room for anything but the bag.
resource.setrlimit(resource.RLIMIT_DATA, (before + size_of_bag // 2,) * 2)
assert run("large", 150) >= size_of_bag
print("fits")
"""


def test_memory_does_not_grow_with_the_bag(tmp_path):
    here = Path(__file__).parents[1]
    paths = [str(here / name) for name in ("analysis", "bags", "messages")]
    program = f"import sys; sys.path[:0] = {paths!r}\n{LARGE}"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
        # Arenas that threads leave half empty say nothing of what is kept.
        env={**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.endswith("fits\n"), done.stderr[-2000:]


@pytest.fixture
def bag(tmp_path):
    return write_bag(tmp_path / "tiny", sample_messages((2, 2)))


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def nothing_published(directory):
    return {path.name for path in directory.iterdir()} == {".lock", "pieces", "run.json"}


def test_a_full_disk_stops_with_one_line_and_keeps_what_is_finished(bag, tmp_path, monkeypatch):
    out = tmp_path / "out"
    written = []
    whole = pieces.write_atomically

    def almost_full(path, data):
        if written:
            full()
        written.append(path)
        whole(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(pieces, "write_atomically", almost_full)
        with pytest.raises(OSError, match=r"no space left for .*000001.piece'; finished pieces are kept"):
            analysed(bag, out)
    assert nothing_published(out)
    assert [path.name for path in (out / "pieces").iterdir()] == ["tiny-000000.piece"]
    assert analysed(bag, out).frames == 4


def test_an_output_that_cannot_be_written_leaves_none_half_written(bag, tmp_path):
    class Full:
        add = full

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def sinks(*arguments):
        return [*default_sinks(*arguments), Full()]

    out = tmp_path / "out"
    with pytest.raises(OSError, match="No space left on device"):
        analyse(order(bag), RunDirectory(out), SerialEngine(), sinks=sinks)
    assert nothing_published(out)
    assert analysed(bag, out).frames == 4


def test_a_damaged_piece_is_made_again(bag, tmp_path):
    out = tmp_path / "out"
    analysed(bag, out)
    before = (out / "frames.csv").read_text()
    (out / "pieces" / "tiny-000000.piece").write_bytes(b"PK no")
    assert analysed(bag, out).frames == 4
    columns = before.splitlines()[0].split(",")
    timeless = [place for place, name in enumerate(columns) if not name.startswith("seconds_")]

    def kept(text):
        return [[line.split(",")[place] for place in timeless[:4]] for line in text.splitlines()]

    assert kept((out / "frames.csv").read_text()) == kept(before)
