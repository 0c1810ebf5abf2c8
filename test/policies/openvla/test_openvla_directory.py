# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is refused before any library is imported or any code of the directory runs."""

import json

import pytest

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.openvla.directory import read_directory
from vla_iss_ros.policies.openvla.prompt import EMPTY, prompt_of, text_of
from vla_iss_ros.policies.permissions import Permissions

STATISTICS = {"q01": [-1.0] * 7, "q99": [1.0] * 7}
CONFIG = {
    "auto_map": {
        "AutoConfig": "configuration_prismatic.OpenVLAConfig",
        "AutoModelForVision2Seq": "modeling_prismatic.OpenVLAForActionPrediction",
    },
    "use_fused_vision_backbone": True,
    "image_sizes": [224, 224],
    "image_resize_strategy": "resize-naive",
    "norm_stats": {"bridge_orig": {"action": STATISTICS}},
    "n_action_bins": 256,
    "text_config": {"vocab_size": 32064},
}
IMAGES = {"means": [[0.5] * 3] * 2, "stds": [[0.5] * 3] * 2}


@pytest.fixture
def write(tmp_path):
    def write(change=None, images=None):
        config = json.loads(json.dumps(CONFIG))
        if change is not None:
            change(config)
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(images or IMAGES))
        (tmp_path / "model.safetensors").write_bytes(b"")
        (tmp_path / "modeling_prismatic.py").write_text("raise SystemExit('code ran')")
        (tmp_path / "configuration_prismatic.py").write_text("raise SystemExit('code ran')")
        return tmp_path

    return write


def refused(name, message, permissions=None):
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(name, "cpu", permissions or Permissions(remote_code=True))
    assert "\n" not in str(caught.value)


def test_code_runs_only_where_it_is_allowed(write):
    refused(
        f"openvla:{write()}",
        r"as Python code \(modeling_prismatic.OpenVLAForActionPrediction\); read it, and set allow_remote_code",
        Permissions(pickle=True, unshared_noise=True),
    )


def test_a_directory_is_read(write):
    found = read_directory(write(), "")
    assert (found.vocabulary, found.bins, found.size) == (32000, 256, 224)
    assert found.statistics.mask == (True,) * 7
    assert [path.name for path in found.files] == ["model.safetensors"]


def test_several_files_are_those_of_the_index(write):
    directory = write()
    for name in ("a.safetensors", "b.safetensors"):
        (directory / name).write_bytes(b"")
    index = {"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "a.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [path.name for path in read_directory(directory, "").files] == ["a.safetensors", "b.safetensors"]
    index["weight_map"]["x"] = "../b.safetensors"
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(f"openvla:{directory}", r"has no weights '\.\./b\.safetensors'")
    index["weight_map"]["x"] = "pytorch_model.bin"
    (directory / "pytorch_model.bin").write_bytes(b"")
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(f"openvla:{directory}", "only safetensors in the directory itself are read")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.pop("norm_stats"), "is not of OpenVLA: KeyError: 'norm_stats'"),
        (lambda config: config.update(text_config=None), "is not of OpenVLA: TypeError"),
        (lambda config: config.update(image_sizes=[224, 384]), "must be one size for 2 vision towers"),
        (
            lambda config: config.update(image_resize_strategy="resize-crop"),
            "resizes images by 'resize-crop'",
        ),
        (lambda config: config.update(n_action_bins=1), "needs 2 or more action bins"),
        (lambda config: config.update(n_action_bins=40000), "got 40000 of 32000"),
        (
            lambda config: config["auto_map"].update(AutoConfig="owner/name--configuration.C"),
            "takes code from 'owner/name--configuration.C'; only Python files in the directory itself may run",
        ),
        (lambda config: config["auto_map"].update(AutoConfig="..configuration.C"), "takes code from"),
        (
            lambda config: config["norm_stats"].update(b={}),
            r"choose one with openvla:DIRECTORY\?unnorm_key=NAME",
        ),
        (
            lambda config: STATISTICS and config["norm_stats"]["bridge_orig"]["action"].update(q01=[0.0]),
            "of one length",
        ),
        (lambda config: config["norm_stats"]["bridge_orig"]["action"].update(q01=[2.0] * 7), "in order"),
    ],
)
def test_faults_are_named_in_one_line(write, change, message):
    refused(f"openvla:{write(change)}", message)


def test_files_that_are_missing_or_damaged(write, tmp_path):
    refused("openvla:", "needs openvla:DIRECTORY")
    refused(f"openvla:{tmp_path}/absent", "no directory")
    refused(f"openvla:{write()}?key=a", "perhaps with unnorm_key or camera")
    refused(f"openvla:{write()}?unnorm_key=a", "statistics of bridge_orig; .* got 'a'")
    refused(
        f"openvla:{write(images={'means': [[0.5]], 'stds': [[1.0]]})}",
        "means and stds must be 2 times 3 numbers",
    )
    directory = write()
    (directory / "model.safetensors").unlink()
    refused(f"openvla:{directory}", "has no weights 'model.safetensors'")
    (directory / "config.json").write_text("[]")
    refused(f"openvla:{directory}", "must hold an object, got list")
    (directory / "config.json").write_text("{")
    refused(f"openvla:{directory}", "is not JSON")
    (directory / "config.json").unlink()
    refused(f"openvla:{directory}", "cannot be read: No such file")


def letters(text, **_):
    """Tokenise by letter: a text's beginning, then an id a letter."""
    return {
        "input_ids": [1, *(ord(letter) for letter in text)],
        "offset_mapping": [(0, 0), *((index, index + 1) for index in range(len(text)))],
    }


def test_words_are_found_in_the_prompt_and_not_before_it():
    prompt = prompt_of("Take  the cup", letters, "")
    text, begin = text_of("Take  the cup", "")
    assert text == "In: What action should the robot take to take  the cup?\nOut:"
    assert (prompt.start, prompt.stop) == (begin + 1, begin + 1 + len("take  the cup"))
    assert prompt.words == ("take", "the", "cup")
    # White space goes with the word before.
    assert prompt.word_of == (0,) * 6 + (1,) * 4 + (2,) * 3
    assert prompt.ids[-1] == EMPTY
    assert len(prompt.ids) == len(text) + 2


def test_the_first_version_has_another_prompt():
    text, begin = text_of("go", "openvla-v01-7b")
    assert text[begin:] == "go? ASSISTANT:"
    assert text.startswith("A chat between a curious user")


def test_a_prompt_without_tokens_of_the_instruction_is_refused():
    with pytest.raises(ValueError, match="no token of the prompt belongs to the instruction 'go'"):
        prompt_of("go", lambda text, **_: {"input_ids": [1], "offset_mapping": [(0, 0)]}, "")
