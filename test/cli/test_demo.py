# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest

from vla_iss_ros.cli import demo
from vla_iss_ros.cli.demo_session import NodeError


@pytest.fixture(autouse=True)
def keep_signals(monkeypatch):
    monkeypatch.setattr(demo.signal, "signal", lambda *arguments: None)


def fail_with(error):
    def run(*arguments):
        raise error

    return run


def test_last_line_is_printed_last(monkeypatch, capsys):
    monkeypatch.setattr(demo, "run", lambda out, quick, seed: f"demo: {out}, {quick}, {seed}")
    assert demo.main(["--out", "somewhere", "--quick", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "demo: somewhere, True, 3"


@pytest.mark.parametrize("error", [NodeError("iss_node ended"), ValueError("cannot read bag")])
def test_errors_are_one_message_and_status_1(monkeypatch, capsys, error):
    monkeypatch.setattr(demo, "run", fail_with(error))
    assert demo.main([]) == 1
    assert capsys.readouterr().err == f"demo: {error}\n"


def test_interruption_is_status_130(monkeypatch, capsys):
    monkeypatch.setattr(demo, "run", fail_with(KeyboardInterrupt()))
    assert demo.main([]) == 130
    assert capsys.readouterr().err == "demo: stopped\n"
