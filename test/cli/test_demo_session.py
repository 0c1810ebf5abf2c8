# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import os
import socket
import sys

import pytest

from vla_iss_ros.cli.demo_session import (
    FIRST_PORT,
    PORTS_PER_DOMAIN,
    NodeError,
    Process,
    Session,
    free_domains,
)

WAITING = "import time; print('configured: policy', flush=True); time.sleep(600)"


@pytest.fixture
def session(tmp_path):
    with Session("clean", 42, 1, tmp_path) as session:
        yield session


def adopt(session, tmp_path, code, name="iss_node"):
    command = [sys.executable, "-c", code]
    return session.adopt(Process(name, command, tmp_path / f"{name}.log", os.environ))


def test_ready_node_is_waited_for(session, tmp_path):
    node = adopt(session, tmp_path, WAITING)
    session.wait_until_configured(node)
    assert node.status is None


def test_node_that_dies_is_named_with_its_last_lines(session, tmp_path):
    node = adopt(session, tmp_path, "print('one'); print('two'); raise SystemExit(3)")
    with pytest.raises(NodeError, match="iss_node ended with status 3; its last lines:\none\ntwo"):
        session.wait_until_configured(node)


def test_node_that_cannot_be_configured_is_an_error_at_once(session, tmp_path):
    node = adopt(session, tmp_path, WAITING.replace("configured:", "not configured: no such file;"))
    with pytest.raises(
        NodeError, match="iss_node could not be configured; its last lines:\nnot configured: no such"
    ):
        session.wait_until_configured(node)


def test_node_that_never_gets_ready_is_an_error(session, tmp_path):
    adopt(session, tmp_path, WAITING)
    with pytest.raises(NodeError, match="clean: the end did not happen within 0 s"):
        session.wait_until(lambda: False, "the end", seconds=0.0)


def test_player_may_end_well(session, tmp_path):
    player = adopt(session, tmp_path, "", name="bag_player")
    session.wait_until(lambda: player.status == 0, "the bag's end")
    session.require_alive()


@pytest.mark.parametrize("kind", [None, ValueError, KeyboardInterrupt])
def test_session_leaves_no_process_behind(tmp_path, kind, monkeypatch):
    import signal

    before = signal.getsignal(signal.SIGINT)
    try:
        with Session("clean", 42, 1, tmp_path) as session:
            node = adopt(session, tmp_path, WAITING)
            session.wait_until_configured(node)
            if kind is not None:
                raise kind
    except (ValueError, KeyboardInterrupt):
        pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert node.status is not None


def test_named_nodes_are_stopped_and_the_others_go_on(session, tmp_path):
    recorder, node = (adopt(session, tmp_path, WAITING, name) for name in ("output_recorder", "iss_node"))
    for process in (recorder, node):
        session.wait_until_configured(process)
    session.stop("output_recorder")
    assert recorder.status is not None
    assert node.status is None
    session.require_alive()


def test_domains_differ_and_taken_ones_are_left_out():
    first = free_domains(1)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", FIRST_PORT + PORTS_PER_DOMAIN * first + 10))
        others = free_domains(2)
    assert first not in others
    assert len(set(others)) == 2
