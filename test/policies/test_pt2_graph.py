# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import io
import zipfile

import pytest
import torch

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.pt2_graph import load_pt2

CPU = torch.device("cpu")


class Difference(torch.nn.Module):
    def forward(self, a, b):
        return a - b


def saved(*args, **kwargs):
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = {"a": {0: batch}, "b": {0: batch}}
    stream = io.BytesIO()
    torch.export.save(torch.export.export(Difference(), args, kwargs, dynamic_shapes=shapes), stream)
    return stream.getvalue()


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_inputs_go_where_their_names_say(by_name, count):
    one, other = torch.zeros(3, 2), torch.ones(3, 2)
    content = saved(one, b=other) if by_name else saved(one, other)
    graph = load_pt2(content, "graph 'g'", CPU, True)
    assert graph.inputs == ("a", "b")
    answer = graph.run({"b": torch.ones(count, 2), "a": torch.full((count, 2), 3.0)})
    assert answer.tolist() == [[2, 2]] * count


def test_what_does_not_fit_is_said_in_one_line():
    graph = load_pt2(saved(torch.zeros(3, 2), torch.zeros(3, 2)), "graph 'g'", CPU, True)
    with pytest.raises(RuntimeError) as caught:
        graph.run({"a": torch.zeros(1, 5), "b": torch.zeros(1, 5)})
    assert "\n" not in str(caught.value)


def test_it_must_be_allowed_by_name():
    with pytest.raises(PolicyError, match="export it as onnx, or set allow_pickle"):
        load_pt2(saved(torch.zeros(3, 2), torch.zeros(3, 2)), "graph 'g'", CPU, False)


@pytest.mark.parametrize("member", ["data/aotinductor/model/a.so", "data/constants/custom_obj_0"])
def test_code_and_objects_are_refused_in_any_case(member):
    stream = io.BytesIO(saved(torch.zeros(3, 2), torch.zeros(3, 2)))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(f"archive/{member}", b"")
    with pytest.raises(PolicyError, match=f"holds 'archive/{member}', code or an object"):
        load_pt2(stream.getvalue(), "graph 'g'", CPU, True)


def test_archives_of_something_else():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"")
    with pytest.raises(PolicyError, match="is not a program that this torch can load"):
        load_pt2(stream.getvalue(), "graph 'g'", CPU, True)
