# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Servers of stand-in policies in processes of their own."""

import contextlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


@contextlib.contextmanager
def running(*arguments):
    """Start a server and give the port it says it serves at."""
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = process.stdout.readline()
        assert "serving" in line, f"the server said {line!r}"
        yield int(line.rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def shim(*arguments, port=0):
    """Run openpi_server_shim."""
    return running("-m", "vla_iss_ros.cli.openpi_server_shim", *arguments, "--port", str(port))


def stock(function):
    """Run a server as openpi's own, of a function of stand_in."""
    return running("stock_server.py", function)
