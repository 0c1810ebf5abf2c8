# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import argparse

import pytest

from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.process_engine import ProcessEngine
from vla_iss_ros.analysis.ray_engine import RayEngine
from vla_iss_ros.cli.engine_options import add_engine_options, chosen_engine


def chosen(*arguments):
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    return chosen_engine(parser.parse_args(arguments))


def test_engines_get_their_options():
    assert isinstance(chosen(), SerialEngine)
    assert isinstance(chosen("--engine", "processes", "--workers", "3"), ProcessEngine)
    engine = chosen(
        "--engine", "ray", "--workers", "3", "--gpus-per-worker", "0.5", "--ray-address", "head:6379"
    )
    assert isinstance(engine, RayEngine)
    assert (engine._workers, engine._gpus, engine._address) == (3, 0.5, "head:6379")
    assert chosen("--engine", "ray")._workers == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ray-address", "auto"), "--ray-address auto is not for engine serial"),
        (("--workers", "3"), "--workers 3 is not for engine serial"),
        (
            ("--engine", "processes", "--gpus-per-worker", "1"),
            "--gpus-per-worker 1.0 is not for engine processes",
        ),
    ],
)
def test_an_option_of_another_engine_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        chosen(*arguments)
