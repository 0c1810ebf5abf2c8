# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from lerobot_factory import write_dataset

from vla_iss_ros.cli import compute_means
from vla_iss_ros.cli.compute_means import main
from vla_iss_ros.policies.loading import load_policy, shipped_samples
from vla_iss_ros.policies.token_means import load_means

BAG = str(shipped_samples() / "metaworld")


def test_means_of_the_sample_bag(tmp_path, capsys):
    out = tmp_path / "means.safetensors"
    assert main([BAG, "--out", str(out), "--stride", "20"]) == 0
    said = capsys.readouterr().out
    means = load_means(out, load_policy("builtin", "cpu"))
    assert f"compute_means: {means.frames} frames, tokens seen: instruction" in said
    assert means.counts["front"] == means.frames * 64
    assert out.stat().st_mode & 0o777 == 0o644


def test_a_policy_without_tokens_is_told_what_it_can(tmp_path, capsys, monkeypatch):
    class Pixels:
        pass

    monkeypatch.setattr(compute_means, "load_policy", lambda *_: Pixels())
    assert main([BAG, "--out", str(tmp_path / "means.safetensors")]) == 2
    assert "explain it with space pixel" in capsys.readouterr().err


def test_an_existing_file_is_kept(tmp_path, capsys):
    out = tmp_path / "means.safetensors"
    out.write_bytes(b"mine")
    assert main([BAG, "--out", str(out)]) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"


def test_a_missing_bag_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "means.safetensors")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_means_of_a_data_set(tmp_path, capsys):
    dataset, out = write_dataset(tmp_path / "tiny"), tmp_path / "means.safetensors"
    assert main([str(dataset), "--out", str(out), "--stride", "2"]) == 0
    said = capsys.readouterr().out
    assert "state: observation.state" in said
    # Frames 0, 2 and 4 of the first episode, 0 and 2 of the second.
    assert "compute_means: 5 frames, tokens seen: instruction" in said
    assert load_means(out, load_policy("builtin", "cpu")).frames == 5
