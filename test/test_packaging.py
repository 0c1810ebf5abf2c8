# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The manifest, setup.py and the files that they name agree."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parents[1]
# How catkin_pkg judges a maintainer's address. With an invalid one colcon takes the package for plain Python.
CATKIN_EMAIL = r"^[-a-zA-Z0-9_%+]+(\.[-a-zA-Z0-9_%+]+)*@[-a-zA-Z0-9%]+(\.[-a-zA-Z0-9%]+)*\.[a-zA-Z]{2,}$"


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    return ElementTree.parse(CHECKOUT / "package.xml").getroot()


@pytest.fixture(scope="module")
def metadata() -> dict[str, object]:
    """Return what setup.py hands to setuptools, run from the checkout in a process of its own."""
    program = (
        "import json, runpy, setuptools\n"
        "captured = {}\n"
        "setuptools.setup = lambda **keywords: captured.update(keywords)\n"
        "runpy.run_path('setup.py')\n"
        "print(json.dumps(captured))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_manifest_and_setup_agree(manifest, metadata):
    maintainer = manifest.find("maintainer")
    assert manifest.get("format") == "3"
    assert metadata["name"] == manifest.findtext("name")
    assert metadata["version"] == manifest.findtext("version")
    assert metadata["license"] == manifest.findtext("license")
    assert metadata["maintainer"] == maintainer.text
    assert metadata["maintainer_email"] == maintainer.get("email")


def test_manifest_is_of_an_ament_python_package(manifest):
    assert manifest.findtext("export/build_type") == "ament_python"
    assert re.match(CATKIN_EMAIL, manifest.find("maintainer").get("email"))


def test_newest_entry_of_the_changelog_is_this_version(manifest):
    versions = re.findall(
        r"^(\d+\.\d+\.\d+)\b.*\n-+$", (CHECKOUT / "CHANGELOG.rst").read_text(), re.MULTILINE
    )
    assert versions[0] == manifest.findtext("version")


def test_entry_points_name_functions(metadata):
    for entry in metadata["entry_points"]["console_scripts"]:
        module, function = entry.split("=")[1].strip().split(":")
        specification = importlib.util.find_spec(module)
        assert specification is not None, f"{entry}: no module {module}"
        source = Path(specification.origin).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"{entry}: no function {function}"


def test_every_subpackage_is_installed(metadata):
    found = {path.parent.relative_to(CHECKOUT) for path in (CHECKOUT / "vla_iss_ros").rglob("*.py")}
    assert {".".join(directory.parts) for directory in found} == set(metadata["packages"])


def test_data_files_exist_and_hold_every_shared_file(metadata):
    installed = {name for _, names in metadata["data_files"] for name in names}
    assert all((CHECKOUT / name).is_file() for name in installed)
    for directory in ("launch", "config", "rviz", "samples"):
        files = [path for path in (CHECKOUT / directory).rglob("*") if path.is_file()]
        shared = {str(path.relative_to(CHECKOUT)) for path in files if "__pycache__" not in path.parts}
        assert shared
        assert shared <= installed
    assert ["share/ament_index/resource_index/packages", ["resource/vla_iss_ros"]] in metadata["data_files"]


def test_every_source_file_names_its_copyright_and_licence():
    directories = ("vla_iss_ros", "launch", "test", "benchmarks", "scripts")
    files = [path for top in directories for path in (CHECKOUT / top).rglob("*") if path.is_file()]
    sources = [
        path for path in files if path.suffix == ".py" or (not path.suffix and path.parent.name == "scripts")
    ]
    assert len(sources) > 100
    wanted = ["# Copyright 2026 vla_iss_ros maintainers", "# SPDX-License-Identifier: Apache-2.0"]
    for path in sources:
        lines = path.read_text(encoding="utf-8").splitlines()[:3]
        assert [line for line in lines if not line.startswith("#!")][:2] == wanted, path


def test_share_directory_is_found_by_name():
    index = pytest.importorskip("ament_index_python.packages")
    share = Path(index.get_package_share_directory("vla_iss_ros"))
    assert (share / "package.xml").is_file()
    assert (share / "launch" / "demo.launch.py").is_file()


def test_requirement_files_keep_what_the_package_promises(metadata):
    lines = []
    for name in ("requirements.txt", "requirements-ros.txt"):
        text = (CHECKOUT / "scripts" / name).read_text()
        lines += [line for line in text.splitlines() if line and not line.startswith("#")]
    named = {Requirement(line).name for line in lines}
    assert {Requirement(line).name for line in metadata["install_requires"]} <= named


def test_the_manifest_names_what_setup_needs(manifest, metadata):
    keys = {
        "opencv-python": "python3-opencv",
        "pillow": "python3-pil",
        "pyyaml": "python3-yaml",
        "rosbags": "python3-rosbags-pip",
    }
    without_key = {"setuptools", "safetensors"}
    named = {each.text for each in manifest.findall("exec_depend")}
    needed = {Requirement(line).name for line in metadata["install_requires"]} - without_key
    assert {keys.get(name, f"python3-{name}") for name in needed} <= named


def test_what_optional_extras_name_is_tested(metadata):
    extras = {name: lines for name, lines in metadata["extras_require"].items() if name != "test"}
    assert set(extras) == {"onnx", "export", "openpi", "openvla", "bags", "lerobot", "ray"}
    for name, lines in extras.items():
        others = {"lerobot": ("policies-3.11", "policies-3.12"), "openvla": ("policies-3.11",)}
        files = others.get(name, ("test",))
        for file in files:
            text = (CHECKOUT / "scripts" / f"requirements-{file}.txt").read_text()
            named = {
                Requirement(line).name
                for line in text.splitlines()
                if line.strip() and not line.startswith("#")
            }
            assert {Requirement(line).name for line in lines} <= named
