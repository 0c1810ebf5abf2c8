# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from vla_iss_ros.policies.onnx_weights import has_outside_weights


def tensor(outside):
    made = numpy_helper.from_array(np.ones(2, np.float32), "location")
    if outside:
        made.data_location = TensorProto.EXTERNAL
        entry = made.external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
    return made


def model(nodes=(), initializers=(), sparse=(), functions=()):
    value = helper.make_tensor_value_info("location", TensorProto.FLOAT, [2])
    graph = helper.make_graph(
        list(nodes), "g", [value], [value], list(initializers), sparse_initializer=list(sparse)
    )
    return helper.make_model(graph, functions=list(functions))


def constant(made):
    return helper.make_node("Constant", [], ["y"], value=made)


def branch(made):
    inner = helper.make_graph([constant(made)], "inner", [], [])
    return helper.make_node("If", ["c"], ["y"], then_branch=inner)


def sparse(made):
    return helper.make_sparse_tensor(made, numpy_helper.from_array(np.arange(2)), [2])


def function(made):
    return helper.make_function("d", "f", [], ["y"], [constant(made)], [helper.make_opsetid("", 17)])


PLACES = {
    "initializer": lambda made: model(initializers=[made]),
    "attribute": lambda made: model(nodes=[constant(made)]),
    "branch": lambda made: model(nodes=[branch(made)]),
    "sparse": lambda made: model(sparse=[sparse(made)]),
    "function": lambda made: model(functions=[function(made)]),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_outside_are_found_wherever_tensors_lie(place):
    assert has_outside_weights(PLACES[place](tensor(True)).SerializeToString())
    # Inputs and weights that are named as the entry's key are no reason.
    assert not has_outside_weights(PLACES[place](tensor(False)).SerializeToString())


def nested(*fields):
    """Return ``fields`` of a tensor as an initializer (5) of the graph (7) of a model."""
    content = b"".join(fields)
    for number in (5, 7):
        content = bytes([number << 3 | 2, len(content)]) + content
    return content


@pytest.mark.parametrize(
    ("content", "outside"),
    [
        (nested(b"\x70\x01"), True),  # data_location external and no entry
        (nested(b"\x70\x00"), False),
        (nested(b"\x70\x81\x00"), True),  # 1, in more bytes than it needs
        (nested(b"\x6a\x00"), True),  # an empty entry
        (nested(b"\x0d\x00\x00\x00\x00", b"\x09" + b"\x00" * 8), False),  # fixed fields are passed over
        (b"", False),
    ],
)
def test_bytes_worked_by_hand(content, outside):
    assert has_outside_weights(content) == outside


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x3a\x05\x00", "ends within a field of 5 bytes"),
        (b"\x08", "ends within a number"),
        (b"\x08" + b"\xff" * 11, "over 10 bytes at byte 1"),
        (b"\x0b", "wire type 3 at byte 1"),
    ],
)
def test_what_is_no_protobuf_is_named(content, message):
    with pytest.raises(ValueError, match=message):
        has_outside_weights(content)
