# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.fields import Fields


def fields(**values):
    return Fields(values, "file 'm'")


def test_values_are_read_once_and_typed():
    read = fields(a="x", b=3, c=[1, 2.5], d=["u"], e=None, f={"g": 1}, h=[{"i": 2}], j=0.5)
    assert (read.text("a"), read.whole("b"), read.numbers("c", 2)) == ("x", 3, (1.0, 2.5))
    assert (read.texts("d"), read.optional_child("e"), read.number("j")) == (("u",), None, 0.5)
    child, (entry,) = read.child("f"), read.children("h")
    assert (child.whole("g"), entry.whole("i")) == (1, 2)
    read.finish()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fields().text("a"), "file 'm' lacks a$"),
        (lambda: fields(f={}).child("f").text("g"), r"file 'm' lacks f\.g"),
        (lambda: fields(h=[{}]).children("h")[0].text("g"), r"lacks h\[0\]\.g"),
        (lambda: fields(a=1).text("a"), "a must be a string that is not empty, got 1"),
        (lambda: fields(a="").text("a"), "got ''"),
        (lambda: fields(a=True).whole("a"), "a must be a whole number from 1 to 1000000, got True"),
        (lambda: fields(a=0).whole("a"), "got 0"),
        (lambda: fields(a=10**9).whole("a"), "got 1000000000"),
        (lambda: fields(a=[1]).wholes("a", 2), r"a must be a list of 2 whole numbers, got \[1\]"),
        (lambda: fields(a=[-1]).wholes("a", 1, lowest=0), "from 0 to 1000000, got -1"),
        (lambda: fields(a=[]).texts("a"), r"a list of one or more strings, got \[\]"),
        (lambda: fields(a=float("nan")).number("a"), "a must be a finite number, got nan"),
        (lambda: fields(a=[float("inf")]).numbers("a", 1), "got inf"),
        (lambda: fields(a=10**400).number("a"), "got 1000"),
        (lambda: fields(a=False).number("a"), "got False"),
        (lambda: fields(a="c").choice("a", ("x", "y")), "a must be one of x, y, got 'c'"),
        (lambda: fields(a=[1]).child("a"), r"a\. must be an object, got \[1\]"),
        (lambda: fields().optional_child("a"), "lacks a$"),
        (lambda: fields(zz=1).finish(), "zz is unknown"),
        (lambda: Fields([], "file 'm'"), "the whole must be an object"),
        (lambda: fields(a="x\n" * 200).choice("a", ("y",)), r"\.\.\.$"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(call, message):
    with pytest.raises(PolicyError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
