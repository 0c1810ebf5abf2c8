# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The SROS2 policy against the running graph, and what sockets a node opens."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from harness import CAMERAS, PATIENCE, Process, Robot

from vla_iss_ros.ros.diagnostics import printable
from vla_iss_ros.settings import BY_NAME

POLICY = ElementTree.parse(Path(__file__).parents[2] / "config" / "sros2_policy.xml").getroot()
# Subscribed to under use_sim_time alone; /parameter_events by rclpy's time source, where it is there.
NOT_ALWAYS = {"/clock", "/parameter_events"}
PASSIVE_STATE = "0A"  # TCP_LISTEN in /proc/net/tcp


def allowed(node, kind, verb):
    """Return the full names that the policy allows a node."""
    (profile,) = POLICY.findall(f"./enclaves/enclave/profiles/profile[@node='{node}']")
    names = [item.text for part in profile.findall(f"{kind}[@{verb}='ALLOW']") for item in part]
    assert len(names) == len(set(names))
    return {name.replace("~", f"/{node}", 1) for name in names}


@pytest.fixture(scope="module")
def nodes(launch, probe, checkpoint):
    policy = {"policy": f"builtin:{checkpoint}", "cameras": str(list(CAMERAS))}
    started = {
        "iss_node": launch("iss_node", **policy, baseline="mean_colour", attributions="all"),
        "policy_node": launch("policy_node", **policy),
    }
    for name in started:
        probe.until(
            lambda name=name: probe.value(f"/{name}: pipeline", "state") == "active", f"active {name}"
        )
    return started


def test_the_policy_allows_the_topics_of_every_attribution():
    attributions = set(BY_NAME["attributions"].choices) - {"none", "all"}
    assert attributions
    published = allowed("iss_node", "topics", "publish")
    for camera in CAMERAS:
        for name in attributions:
            assert {
                f"/iss_node/output/{camera}/{name}/{kind}" for kind in ("overlay", "saliency")
            } < published


def names(probe, method, node):
    return {name for name, _ in getattr(probe.node, method)(node, "/")}


@pytest.mark.parametrize("node", ["iss_node", "policy_node"])
def test_the_policy_allows_what_a_node_does_and_nothing_else(nodes, probe, node):
    published = allowed(node, "topics", "publish")
    probe.until(
        lambda: names(probe, "get_publisher_names_and_types_by_node", node) == published, "the publishers"
    )
    answered = allowed(node, "services", "reply")
    probe.until(lambda: names(probe, "get_service_names_and_types_by_node", node) == answered, "the services")
    subscribed = allowed(node, "topics", "subscribe")
    seen = names(probe, "get_subscriber_names_and_types_by_node", node)
    assert seen <= subscribed
    assert subscribed - seen <= NOT_ALWAYS
    assert not names(probe, "get_client_names_and_types_by_node", node)


def test_enforced_security_without_keys_ends_the_node_and_says_why(tmp_path, monkeypatch):
    (tmp_path / "enclaves").mkdir()
    monkeypatch.setenv("ROS_SECURITY_KEYSTORE", str(tmp_path))
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "Enforce")
    process = Process("iss_node", tmp_path / "log", ["--enclave", "/vla_iss_ros/iss_node"])
    assert process.process.wait(PATIENCE) == 1
    assert "SECURITY ERROR" in process.log
    assert "Traceback" not in process.log


def test_the_policy_has_the_form_that_sros2_reads():
    assert (POLICY.tag, POLICY.attrib) == ("policy", {"version": "0.2.0"})
    assert [enclave.get("path") for enclave in POLICY.iter("enclave")] == [
        "/vla_iss_ros/iss_node",
        "/vla_iss_ros/policy_node",
    ]
    for profile in POLICY.iter("profile"):
        assert set(profile.attrib) == {"ns", "node"}
        for part in profile:
            assert part.tag in ("topics", "services", "actions")
            assert set(part.attrib) <= {"publish", "subscribe", "reply", "request", "call", "execute"}
            assert set(part.attrib.values()) <= {"ALLOW", "DENY"}
            assert {item.tag for item in part} == {part.tag[:-1]}


BARE = """
import rclpy
rclpy.init()
node = rclpy.create_node("bare")
print("up", flush=True)
rclpy.spin(node)
"""
TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix")


@pytest.fixture(scope="module")
def bare(domain):
    """The id of a process with nothing but a node of rclpy."""
    process = subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    yield process.pid
    process.kill()
    process.wait()


def sockets(process):
    """Return the rows of the kernel's tables that belong to a process, by table."""
    directory = Path("/proc") / str(process)
    inodes = {link.split("[")[1][:-1] for link in links(directory / "fd") if link.startswith("socket:[")}
    assert inodes
    place = {table: 6 if table == "unix" else 9 for table in TABLES}
    return {
        table: [row for row in rows(directory / "net" / table) if row[place[table]] in inodes]
        for table in TABLES
    }


@pytest.mark.skipif(not Path("/proc/net/udp").exists(), reason="there is no /proc on this system")
@pytest.mark.parametrize("node", ["iss_node", "policy_node"])
def test_a_node_has_no_socket_beside_those_of_the_middleware(nodes, node, bare, domain):
    own, middleware = sockets(nodes[node].process.pid), sockets(bare)
    assert [row for table in ("tcp", "tcp6") for row in own[table] if row[3] == PASSIVE_STATE] == []
    counts = {table: len(found) for table, found in own.items()}
    assert counts == {table: len(found) for table, found in middleware.items()}
    bound = [int(row[1].split(":")[1], 16) for row in own["udp"]]
    # DDSI-RTPS 2.5, section 9.6.1: discovery and data of a domain; senders have any free port above 1023.
    first = 7400 + 250 * domain
    assert any(first <= port < first + 250 for port in bound)
    assert all(port > 1023 for port in bound)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("front", "front"),
        ("Kamera für Grün", "Kamera für Grün"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("two\nlines", "two\\nlines"),
        ("safe\u202egnp", "safe\\u202egnp"),
        ("x" * 2000, "x" * 1000 + "..."),
    ],
)
def test_what_a_sender_wrote_cannot_steer_a_terminal(text, shown):
    assert printable(text) == shown


def test_a_frame_id_with_escapes_is_shown_harmless(nodes, probe):
    robot = Robot(probe, "/iss_node", compressed=True)
    robot.instruct()

    def send():
        image = robot.image("front")
        image.header.frame_id = "\x1b[2Jfront"
        image.format = "jpeg\x1b[2J" + "x" * 5000
        robot.send(labels=False, front=image)

    status = "/iss_node: camera front"
    robot.until(lambda: probe.value(status, "frame_id") == "\\x1b[2Jfront", "the frame_id", send)
    assert probe.value(status, "format").startswith("jpeg\\x1b[2Jxxx")
    assert len(probe.value(status, "format")) < 1100


def links(directory):
    found = []
    for path in directory.iterdir():
        try:
            found.append(str(path.readlink()))
        except OSError:  # closed meanwhile
            continue
    return found


def rows(table):
    return [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
