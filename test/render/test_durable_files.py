# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files that outlast a power cut: data reach the disk before the name, and the name before the work goes on."""

import os
import stat

import pytest

from vla_iss_ros.render.files import write_atomically


@pytest.fixture
def synced(monkeypatch):
    """Return a list of what is synced: the directories' names, and for a file its size and whether it has its name."""
    seen, sync = [], os.fsync

    def fsync(descriptor):
        status = os.fstat(descriptor)
        place = os.readlink(f"/proc/self/fd/{descriptor}")
        name = os.path.basename(place)
        seen.append(name if stat.S_ISDIR(status.st_mode) else (status.st_size, name.endswith(".partial")))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_data_are_synced_before_the_name_and_the_directory_after(tmp_path, synced):
    write_atomically(tmp_path / "file", b"four")
    assert synced == [(4, True), tmp_path.name]


def test_directories_that_are_made_are_synced_too(tmp_path, synced):
    write_atomically(tmp_path / "one" / "two" / "file", b"four")
    assert synced == [tmp_path.name, "one", (4, True), "two"]


def test_a_file_system_that_syncs_no_directory_is_good_enough(tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError("Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "new" / "file", b"data")
    assert (tmp_path / "new" / "file").read_bytes() == b"data"


def test_a_file_that_cannot_be_synced_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(FileExistsError, match="taken"):
        write_atomically(tmp_path / "taken" / "file", b"data")
