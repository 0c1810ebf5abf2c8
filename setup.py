# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Build vla_iss_ros with colcon (ament_python) or pip."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE_NAME = "vla_iss_ros"
SHARE = Path("share") / PACKAGE_NAME
SHARED_DIRECTORIES = ("launch", "config", "rviz", "samples")


def shared_files() -> list[tuple[str, list[str]]]:
    """Return (directory under the prefix, files) of the marker, the manifest and the shared files."""
    entries = [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE_NAME}"]),
        (str(SHARE), ["package.xml"]),
    ]
    for top in SHARED_DIRECTORIES:
        files = sorted(
            path for path in Path(top).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )
        for directory in sorted({path.parent for path in files}):
            entries.append(
                (str(SHARE / directory), [str(path) for path in files if path.parent == directory])
            )
    return entries


setup(
    name=PACKAGE_NAME,
    version="0.1.0",
    description=(
        "Interventional saliency maps and the nuisance mass ratio for vision-language-action policies, "
        "live on ROS 2 and from recorded bags"
    ),
    long_description=Path("README.md").read_text(encoding="utf-8") if Path("README.md").exists() else "",
    long_description_content_type="text/markdown",
    maintainer="vla_iss_ros maintainers",
    maintainer_email="maintainers@vla-iss-ros.org",
    license="Apache-2.0",
    packages=find_packages(include=[PACKAGE_NAME, f"{PACKAGE_NAME}.*"]),
    data_files=shared_files(),
    python_requires=">=3.10",
    # rclpy and the messages come from ROS, or from scripts/requirements-ros.txt without it.
    install_requires=[
        "setuptools",
        "numpy<2.3",
        "opencv-python<5",
        "torch>=2.1",
        "safetensors",
        "rosbags>=0.11,<0.12",
        "scipy",
        "matplotlib",
        "pillow",
        "pyyaml",
        "tqdm",
    ],
    extras_require={
        # Policies exported as ONNX: to run them, and to write them as well.
        "onnx": ["onnxruntime"],
        "export": ["onnxruntime", "onnxscript"],
        # Policies behind an openpi server, and the server.
        "openpi": ["websockets>=15", "msgpack>=1.0.5"],
        # OpenVLA; what else its directory's own Python files import, such as timm, they say themselves.
        "openvla": ["transformers>=4.40,<5"],
        # Tables and videos of analyze_bag.
        "bags": ["pyarrow", "av"],
        # Policies of LeRobot; its release for Python 3.12 needs nothing of the one before.
        "lerobot": [
            "lerobot[smolvla]==0.4.4; python_version < '3.12'",
            "lerobot[smolvla,diffusion,pi]>=0.6.1,<0.7; python_version >= '3.12'",
        ],
        # Analyses on several computers.
        "ray": ["ray>=2.40,<3"],
        "test": [
            "pytest",
            "pytest-timeout",
            "hypothesis",
            "rosbags-image>=0.10,<0.11",
            "ruff",
            "mypy",
            "import-linter",
            "types-PyYAML",
            "types-tqdm",
        ],
    },
    entry_points={
        "console_scripts": [
            "iss_node = vla_iss_ros.nodes.iss_node:main",
            "policy_node = vla_iss_ros.nodes.policy_node:main",
            "bag_player = vla_iss_ros.nodes.bag_player:main",
            "output_recorder = vla_iss_ros.nodes.output_recorder:main",
            "demo = vla_iss_ros.cli.demo:main",
            "gather_donors = vla_iss_ros.cli.gather_donors:main",
            "compute_means = vla_iss_ros.cli.compute_means:main",
            "compare_bags = vla_iss_ros.cli.compare_bags:main",
            "correlate = vla_iss_ros.cli.correlate:main",
            "check_policy = vla_iss_ros.cli.check_policy:main",
            "export_policy = vla_iss_ros.cli.export_policy:main",
            "rank_policies = vla_iss_ros.cli.rank_policies:main",
            "openpi_server_shim = vla_iss_ros.cli.openpi_server_shim:main",
            "rank_heads = vla_iss_ros.cli.rank_heads:main",
            "analyze_bag = vla_iss_ros.cli.analyze_bag:main",
        ],
    },
    zip_safe=False,
)
