# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the policy and of what it is fed with."""

from __future__ import annotations

from vla_iss_ros.settings.setting import Setting

INPUTS: tuple[Setting, ...] = (
    Setting(
        "policy",
        "builtin",
        "Policy to explain, TYPE[:PATH]; builtin alone is the shipped checkpoint.",
        fixed=True,
    ),
    Setting("device", "auto", "Where the policy runs: auto, cpu, cuda or cuda:N.", fixed=True),
    Setting(
        "gpu_memory_fraction",
        0.0,
        "Largest share of the GPU's memory that this process may take (CUDA alone); 0 is without limit.",
        "1",
        0.0,
        1.0,
        fixed=True,
    ),
    Setting(
        "allow_pickle",
        False,
        "Also load exported policies of kind pt2: torch unpickles such files, which runs whatever code they hold.",
        fixed=True,
    ),
    Setting(
        "allow_remote_code",
        False,
        "Run the Python files in a policy's directory, as policies of type openvla bring them.",
        fixed=True,
    ),
    Setting(
        "allow_unshared_noise",
        False,
        "Also explain a stochastic policy that cannot be given its sampling noise; its own spread is then in every "
        "number, and results carry it as their noise floor.",
        fixed=True,
    ),
    Setting(
        "token_means",
        "",
        "Safetensors file of mean embeddings, made by compute_means; empty: the one beside the policy, else the "
        "donors' own means.",
        fixed=True,
    ),
    Setting("cameras", ["front", "wrist"], "Cameras of the policy; each has topics of its own.", fixed=True),
    Setting(
        "image_transport",
        "compressed",
        "Type of the image topics: raw (sensor_msgs/Image) or compressed (CompressedImage).",
        choices=("raw", "compressed"),
        fixed=True,
    ),
    Setting(
        "camera_transports",
        "",
        "Cameras whose topics are of another type than image_transport says, such as front=raw, wrist=compressed.",
        fixed=True,
    ),
    Setting(
        "contract",
        "",
        "Contract file (YAML) of rosetta; its topics, selections and units are used for cameras, state and "
        "instruction instead of ~/input, image_transport, camera_transports, state_names and state_unit.",
        fixed=True,
    ),
    Setting(
        "regions_transport",
        "compressed",
        "Type of the label topics: raw (sensor_msgs/Image) or compressed (CompressedImage, PNG).",
        choices=("raw", "compressed"),
        fixed=True,
    ),
    Setting(
        "image_reliability",
        "best_effort",
        "QoS of the image and label subscriptions; best_effort is sensor-data QoS.",
        choices=("best_effort", "reliable"),
        fixed=True,
    ),
    Setting(
        "sync_slop",
        0.05,
        "Largest difference of stamps within one set of images and labels.",
        "s",
        0.0,
        10.0,
        fixed=True,
    ),
    Setting(
        "missing_camera",
        "wait",
        "What happens when a camera stops: wait (no frame is complete without it), hold (its last image stands in) or "
        "blank (a black image stands in).",
        choices=("wait", "hold", "blank"),
        fixed=True,
    ),
    Setting(
        "missing_camera_after",
        1.0,
        "Time behind the other cameras' stamps after which a camera is missing.",
        "s",
        0.01,
        60.0,
        fixed=True,
    ),
    Setting("instruction", "", "Instruction used until one arrives on the topic."),
    Setting(
        "state_names",
        ["hand_x", "hand_y", "hand_z", "gripper"],
        "Names that make up the policy's state, in its order; one JointState message must hold them all.",
        fixed=True,
    ),
    Setting(
        "state_unit",
        "rad",
        "Unit of the state's angles as the policy wants them; deg converts from the topic's radians.",
        choices=("rad", "deg"),
        fixed=True,
    ),
    Setting(
        "donors",
        "",
        "Directory of donor frames made by gather_donors; empty: those of the samples.",
        fixed=True,
    ),
    Setting("actor_labels", [1], "Labels of the robot in the label images."),
    Setting("support_labels", [2, 3], "Labels of the task's objects and of what carries them."),
)
