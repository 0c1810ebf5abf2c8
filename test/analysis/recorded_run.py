# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Analyses of small bags."""

import subprocess
import sys

from vla_iss_ros.analysis.bag_analysis import Order, analyse
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.bag_source import BagSource
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.settings import check

SMALL = {"samples": 32, "grid": 3, "estimator": "spatial", "nmr_size": 32}


def order(*bags, stride=1, labels=None, **changes) -> Order:
    values = {**SMALL, **changes}
    sources = [BagSource.of(bag.name, bag, BagTopics(), check(values)) for bag in bags]
    return Order(sources, values, labels, stride)


def analysed(bag, directory, *, restart=False, **changes):
    return analyse(order(bag, **changes), RunDirectory(directory), SerialEngine(), restart=restart)


def start_analysis(bag, out, engine, workers):
    """Start analyze_bag in a session of its own, and return the process; its standard error can be read."""
    command = [sys.executable, "-m", "vla_iss_ros.cli.analyze_bag", str(bag), "--out", str(out)]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    return subprocess.Popen(
        [*command, "--engine", engine, "--workers", str(workers)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
