# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from vla_iss_ros.analysis.identity import content_hash, policy_hash


def test_options_of_a_policy_are_no_part_of_its_directory(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert (
        policy_hash(f"openvla:{tmp_path}?unnorm_key=a")
        == policy_hash(f"openvla:{tmp_path}")
        == content_hash(tmp_path)
    )
    assert policy_hash("openpi:127.0.0.1:8000?preset=droid") == ""
    assert policy_hash(f"openvla:{tmp_path}/absent") == ""
