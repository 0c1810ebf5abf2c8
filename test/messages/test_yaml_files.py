# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from yaml_factory import alias_bomb

from vla_iss_ros.messages.yaml_files import LARGEST_DOCUMENT, LARGEST_FILE, YamlFileError, read_yaml


@pytest.fixture
def read(tmp_path):
    def write_and_read(content):
        path = tmp_path / "file.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_yaml(path)

    return write_and_read


def test_values_and_aliases_are_read(read):
    assert read("a: &a {b: [1, 2.5, x]}\nc: *a\nd: {<<: *a, e: 3}") == {
        "a": {"b": [1, 2.5, "x"]},
        "c": {"b": [1, 2.5, "x"]},
        "d": {"b": [1, 2.5, "x"], "e": 3},
    }
    assert read("") is None


MERGES = "".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}\n" for n in range(1, 21))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (alias_bomb(9), "written out, got 1797873213; use fewer aliases"),
        (alias_bomb(), "written out, got more than 10.12; use fewer aliases"),
        ("l0: &l0 {x: 1}\n" + MERGES, "written out, got more than 10.12; use fewer aliases"),
        (f"a: &a {'x' * 900_000}\nb: [*a, *a, *a]", f"at most {LARGEST_DOCUMENT} characters"),
        ("a: &a [1, *a]", "line 1 must not hold an alias of itself"),
        ("a" * (LARGEST_FILE + 1), f"at most {LARGEST_FILE} bytes, got more"),
        ("[" * 50_000, "recursion"),
        ("a: *nowhere", "undefined alias"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: 2001-99-99", "month must be in 1"),
        ("a: " + "9" * 9000, "limit"),
        (b"a: \xff", "invalid start byte"),
    ],
)
def test_what_cannot_be_read_is_one_short_line(read, content, match):
    with pytest.raises(YamlFileError, match=match) as caught:
        read(content)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_never_ends_is_refused(tmp_path):
    with pytest.raises(YamlFileError, match="No such file"):
        read_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(YamlFileError, match="got more"):
        read_yaml(Path("/dev/zero"))
