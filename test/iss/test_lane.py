# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import types

import pytest
import torch

from vla_iss_ros.iss.lane import CudaLane, PlainLane, arithmetic, lane_to, refuse_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_on_the_host_nothing_is_copied_and_no_stream_is_made():
    lane = lane_to(CPU)
    assert isinstance(lane, PlainLane)
    tensor = torch.zeros(2)
    assert lane.to_device(tensor) is tensor
    with lane.entered():
        assert lane.to_host(tensor, tensor)[1] is tensor
    assert lane.seconds(1.0, 3.5) == 2.5
    assert lane.seconds(lane.mark(), lane.mark()) >= 0


class _Stream:
    """Stands in for a CUDA stream and writes down what is asked of it."""

    def __init__(self, log):
        self.log = log

    def wait_stream(self, other):
        self.log.append(("wait for", other))

    def synchronize(self):
        self.log.append("synchronise")


class _Copy:
    def __init__(self, log):
        self.log = log

    def copy_(self, tensor, non_blocking):
        self.log.append(("copy", tensor.tolist(), non_blocking))


@pytest.fixture
def log(monkeypatch):
    found = []

    class entered:  # noqa: N801 - stands in for torch.cuda.stream
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            found.append("enter")

        def __exit__(self, *error):
            found.append("leave")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: _Stream(found))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "current stream")
    monkeypatch.setattr(torch.cuda, "stream", entered)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: found.append("empty"))
    monkeypatch.setattr(torch, "empty_like", lambda tensor, device, pin_memory: _Copy(found))
    return found


def test_a_cuda_lane_waits_for_the_frame_and_once_for_the_results(log):
    lane = lane_to(CUDA)
    assert isinstance(lane, CudaLane)
    with lane.entered():
        lane.to_host(torch.tensor([1.0]), torch.tensor([2.0]))
    lane.release()
    assert log == [
        ("wait for", "current stream"),
        "enter",
        ("copy", [1.0], True),
        ("copy", [2.0], True),
        "synchronise",
        "leave",
        "empty",
    ]


def test_a_cuda_lane_times_by_events_in_milliseconds(log, monkeypatch):
    def event(enable_timing):
        assert enable_timing
        return types.SimpleNamespace(record=log.append, elapsed_time=lambda other: 250.0)

    monkeypatch.setattr(torch.cuda, "Event", event)
    lane = lane_to(CUDA)
    assert lane.seconds(lane.mark(), lane.mark()) == 0.25
    assert [type(entry) for entry in log] == [_Stream, _Stream]


def test_bfloat16_reaches_as_far_as_its_context():
    ones = torch.ones(2, 2)
    with arithmetic("bfloat16", CPU):
        assert (ones @ ones).dtype == torch.bfloat16
    assert (ones @ ones).dtype == torch.float32
    with arithmetic("float32", CPU):
        assert (ones @ ones).dtype == torch.float32


@pytest.fixture
def switches():
    found = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [switch.allow_tf32 for switch in found]
    yield found
    for switch, value in zip(found, before, strict=True):
        switch.allow_tf32 = value


@pytest.mark.parametrize("before", [False, True])
def test_tf32_flags_are_restored_even_after_an_error(before, switches):
    inside = []

    def fail():
        with arithmetic("tf32", CUDA):
            inside.extend(switch.allow_tf32 for switch in switches)
            raise KeyError("policy")

    for switch in switches:
        switch.allow_tf32 = before
    with pytest.raises(KeyError, match="policy"):
        fail()
    assert inside == [True, True]
    assert [switch.allow_tf32 for switch in switches] == [before, before]


def test_tf32_is_refused_without_cuda():
    with pytest.raises(ValueError, match="precision tf32 needs a CUDA device and the policy is on cpu; set"):
        refuse_precision("tf32", CPU)
    refuse_precision("tf32", CUDA)
    refuse_precision("bfloat16", CPU)
