# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import struct

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vla_iss_ros.policies.openpi.wire import pack, unpack

DTYPES = [np.bool_, np.uint8, np.int64, np.float32, np.float64]


def test_an_array_is_written_as_openpi_client_writes_it():
    # A map of four: the marker, the bytes, little-endian uint16 and the shape.
    expected = b"\x84" + b"\xc4\x0b__ndarray__\xc3" + b"\xc4\x04data\xc4\x04" + struct.pack("<HH", 1, 2)
    expected += b"\xc4\x05dtype\xa3<u2" + b"\xc4\x05shape\x92\x02\x01"
    assert pack(np.array([[1], [2]], "<u2")) == expected


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))
    )
)
def test_arrays_come_back(array):
    back = unpack(pack({"a": [array, "text"]}))["a"]
    assert back[1] == "text"
    assert (back[0].dtype, back[0].shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back[0], array)
    assert back[0].flags.writeable


def test_scalars_come_back():
    back = unpack(pack({"x": np.float32(0.5), "n": 3, "none": None}))
    assert back == {"x": np.float32(0.5), "n": 3, "none": None}
    assert isinstance(back["x"], np.float32)


@pytest.mark.parametrize("value", [np.array([object()]), np.array(["text"]), object(), {1, 2}])
def test_what_is_no_number_is_not_sent(value):
    with pytest.raises(ValueError, match="cannot send a value of type"):
        pack({"a": value})


def array(**changes):
    entry = {"__ndarray__": True, "data": bytes(4), "dtype": "<f4", "shape": [1]}
    return msgpack.packb({key.encode(): value for key, value in {**entry, **changes}.items()})


@pytest.mark.parametrize(
    "content",
    [
        array(dtype="|O"),
        array(dtype="O8"),
        array(dtype="<U1"),
        array(dtype="f4,f4"),
        array(dtype=7),
        array(dtype="nonsense"),
        array(shape=[2]),
        array(shape=[-1]),
        array(shape=[-1, -1]),
        array(shape=[2**40, 2**40]),
        array(shape="ab"),
        array(shape=None),
        array(data="text"),
        msgpack.packb({b"__ndarray__": True}),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "O", b"data": 1}),
        msgpack.packb(msgpack.ExtType(5, b"x"))[:-1],
        b"\xc1",
        b"",
        b"\x91" * 100_000,
    ],
)
def test_messages_made_to_do_harm_are_refused_in_one_line(content):
    with pytest.raises(ValueError, match=r"a message of \d+ bytes is not msgpack with arrays") as caught:
        unpack(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_value_error(content):
    try:
        unpack(content)
    except ValueError:
        return
