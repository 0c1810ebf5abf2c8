# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vla_iss_ros.iss.evaluation import out_of_memory
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.onnx_graph import OnnxGraph, load_onnx

CPU = torch.device("cpu")


def add_one(batch="n"):
    """Return the graph y = x + 1 on [batch, 2]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 2]) for name in "xy")
    one = numpy_helper.from_array(np.ones((1, 2), np.float32), "one")
    graph = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "g", [x], [y], [one])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_batch_runs(count):
    graph = load_onnx(add_one().SerializeToString(), "graph 'g'", "y", CPU)
    assert graph.inputs == ("x",)
    row = torch.tensor([[1.0, 2.0]])
    assert graph.run({"x": row.expand(count, -1)}).tolist() == [[2, 3]] * count


def test_wrong_inputs_are_said_in_one_line():
    graph = load_onnx(add_one().SerializeToString(), "graph 'g'", "y", CPU)
    with pytest.raises(RuntimeError, match="x") as caught:
        graph.run({"x": torch.zeros(1, 5)})
    assert "\n" not in str(caught.value)
    assert not out_of_memory(caught.value)


def test_no_memory_is_said_in_torchs_words():
    class Full:
        def get_inputs(self):
            return []

        def run(self, names, feeds):
            raise MemoryError("Failed to allocate memory for requested buffer of size 9")

    with pytest.raises(RuntimeError) as caught:
        OnnxGraph(Full(), "y", CPU).run({})
    assert out_of_memory(caught.value)


def test_a_fixed_batch_is_refused():
    with pytest.raises(PolicyError, match="has a fixed batch in input 'x'; export it with a dynamic"):
        load_onnx(add_one(batch=1).SerializeToString(), "graph 'g'", "y", CPU)


def test_weights_in_other_files_are_refused(tmp_path):
    path = tmp_path / "g.onnx"
    onnx.save(add_one(), path, save_as_external_data=True, location="secret.bin", size_threshold=0)
    with pytest.raises(PolicyError, match="keeps weights in other files; save it again"):
        load_onnx(path.read_bytes(), "graph 'g'", "y", CPU)


@pytest.mark.parametrize("content", [b"junk", b"\x08", b"", b"\x3a\x00"])
def test_bytes_that_are_no_graph(content):
    with pytest.raises(PolicyError, match="graph 'g' is not an ONNX graph") as caught:
        load_onnx(content, "graph 'g'", "y", CPU)
    assert "\n" not in str(caught.value)


def test_a_missing_onnxruntime_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PolicyError, match=r"graph 'g' needs onnxruntime; .*pip install vla_iss_ros\[onnx\]"):
        load_onnx(b"", "graph 'g'", "y", CPU)


def test_a_gpu_needs_its_own_build():
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    with pytest.raises(PolicyError, match="device 'cuda:1' needs the package onnxruntime-gpu"):
        load_onnx(add_one().SerializeToString(), "graph 'g'", "y", torch.device("cuda:1"))
