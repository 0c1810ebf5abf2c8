# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Record the sample bag and the donor frames from episodes that no training saw."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from environment import CAMERAS, STATE_NAMES, TASKS, Scene
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from storage import replacing

STORE = get_typestore(Stores.ROS2_JAZZY)
MESSAGES = STORE.types
EPOCH_NS = 1_767_225_600_000_000_000  # 2026-01-01, so that a second recording is equal
GAP_NS = 2_000_000_000
INSTRUCTION_PERIOD_NS = 1_000_000_000
FRAME_STEPS = 2
LONGEST_EPISODE = 130
FRAMES_AFTER_SUCCESS = 3
JPEG_QUALITY = 85
EPISODES = [
    (task, seed, condition)
    for seed, condition in ((70_000, "aligned"), (70_001, "aligned"), (70_002, "shuffled"))
    for task in TASKS
]
FIRST_DONOR_SEED = 80_000
DONORS = 18
TOPICS = {
    **{f"/{camera}/image/compressed": "sensor_msgs/msg/CompressedImage" for camera in CAMERAS},
    **{f"/{camera}/regions": "sensor_msgs/msg/CompressedImage" for camera in CAMERAS},
    "/joint_states": "sensor_msgs/msg/JointState",
    "/end_effector_state": "sensor_msgs/msg/JointState",
    "/expert_action": "std_msgs/msg/Float32MultiArray",
    "/instruction": "std_msgs/msg/String",
    "/episode": "std_msgs/msg/String",
}


@dataclass(frozen=True)
class Frame:
    """One recorded moment; ``step`` counts simulator steps."""

    step: int
    images: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    state: np.ndarray
    joints: tuple[list[str], list[float], list[float]]
    action: np.ndarray


def run_expert(scene: Scene, seed: int, condition: str, labelled: bool = True) -> Iterator[Frame]:
    """Yield every second step of an expert's episode until a few frames after its success."""
    scene.reset(seed)
    scene.place_poster(condition, np.random.default_rng([seed, TASKS.index(scene.task)]))
    left = None
    for step in range(LONGEST_EPISODE):
        action = scene.expert_action()
        if step % FRAME_STEPS == 0:
            yield Frame(
                step,
                {camera: scene.image(camera) for camera in CAMERAS},
                {camera: scene.labels(camera) for camera in CAMERAS} if labelled else {},
                scene.state,
                scene.joints(),
                action,
            )
            left = None if left is None else left - 1
        if left == 0:
            return
        if scene.step(action) and left is None:
            left = FRAMES_AFTER_SUCCESS


def encode(image: np.ndarray, extension: str) -> np.ndarray:
    """Compress RGB [H, W, 3] or labels [H, W]."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    options = (
        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if extension == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    return cv2.imencode(extension, pixels, options)[1].ravel()


class BagWriter:
    """Writes the samples' topics to an open rosbag2."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._connections = {
            topic: writer.add_connection(topic, kind, typestore=STORE) for topic, kind in TOPICS.items()
        }

    def write(self, topic: str, stamp: int, message: object) -> None:
        """Serialise one message under its log time in ns."""
        self._writer.write(self._connections[topic], stamp, STORE.serialize_cdr(message, TOPICS[topic]))

    def text(self, topic: str, stamp: int, text: str) -> None:
        """Write one String."""
        self.write(topic, stamp, MESSAGES["std_msgs/msg/String"](text))

    def frame(self, frame: Frame, stamp: int) -> None:
        """Write everything that one moment holds."""
        for camera in CAMERAS:
            head = header(stamp, f"{camera}_camera")
            compressed = MESSAGES["sensor_msgs/msg/CompressedImage"]
            picture = encode(frame.images[camera], ".jpg")
            self.write(
                f"/{camera}/image/compressed", stamp, compressed(head, "rgb8; jpeg compressed bgr8", picture)
            )
            labels = encode(frame.labels[camera], ".png")
            self.write(f"/{camera}/regions", stamp, compressed(head, "mono8; png compressed mono8", labels))
        names, positions, velocities = frame.joints
        self.write("/joint_states", stamp, joint_state(stamp, names, positions, velocities))
        self.write("/end_effector_state", stamp, joint_state(stamp, list(STATE_NAMES), frame.state))
        self.write("/expert_action", stamp, float_array(frame.action))


def header(stamp: int, frame_id: str) -> object:
    """Return a header of a stamp in ns."""
    time = MESSAGES["builtin_interfaces/msg/Time"](*divmod(stamp, 1_000_000_000))
    return MESSAGES["std_msgs/msg/Header"](time, frame_id)


def joint_state(stamp: int, names: list[str], positions, velocities=()) -> object:
    """Return a JointState without efforts."""
    arrays = [np.asarray(values, np.float64) for values in (positions, velocities, ())]
    return MESSAGES["sensor_msgs/msg/JointState"](header(stamp, "base"), names, *arrays)


def float_array(action: np.ndarray) -> object:
    """Return one action [4] with a labelled dimension."""
    dimension = MESSAGES["std_msgs/msg/MultiArrayDimension"]("action", len(action), len(action))
    layout = MESSAGES["std_msgs/msg/MultiArrayLayout"]([dimension], 0)
    return MESSAGES["std_msgs/msg/Float32MultiArray"](layout, action.astype(np.float32))


def record_bag(scenes: dict[str, Scene], path: Path) -> int:
    """Write all episodes to one MCAP bag and return the number of frames."""
    total, start = 0, EPOCH_NS
    with replacing(path) as partial:
        with Writer(partial, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            bag = BagWriter(writer)
            for index, (task, seed, condition) in enumerate(EPISODES):
                frames = list(run_expert(scenes[task], seed, condition))
                about = {
                    "index": index,
                    "task": task,
                    "seed": seed,
                    "condition": condition,
                    "frames": len(frames),
                }
                bag.text("/episode", start, json.dumps(about))
                told = None
                for frame in frames:
                    stamp = start + round(frame.step * scenes[task].step_seconds * 1e9)
                    if told is None or stamp - told >= INSTRUCTION_PERIOD_NS:
                        bag.text("/instruction", stamp, scenes[task].instruction)
                        told = stamp
                    bag.frame(frame, stamp)
                total += len(frames)
                start = stamp + GAP_NS
                print(json.dumps(about), flush=True)
        # rosbag2 names the storage file after the directory.
        for file in partial.glob("*.mcap"):
            file.rename(partial / f"{path.name}.mcap")
        metadata = partial / "metadata.yaml"
        metadata.write_text(metadata.read_text().replace(f"{partial.name}.mcap", f"{path.name}.mcap"))
    return total


def record_donors(scenes: dict[str, Scene], directory: Path) -> None:
    """Write one frame an episode, later and later in it, with the poster anywhere."""
    entries = []
    with replacing(directory) as partial:
        for index in range(DONORS):
            task, seed = TASKS[index % len(TASKS)], FIRST_DONOR_SEED + index
            frames = list(run_expert(scenes[task], seed, "shuffled", labelled=False))
            frame = frames[round((index + 0.5) / DONORS * (len(frames) - 1))]
            for camera in CAMERAS:
                file = Path(camera) / f"{index:03}.jpg"
                (partial / file).parent.mkdir(parents=True, exist_ok=True)
                (partial / file).write_bytes(encode(frame.images[camera], ".jpg").tobytes())
                source = f"{task}, seed {seed}, step {frame.step}"
                entries.append(
                    {
                        "camera": camera,
                        "file": str(file),
                        "instruction": scenes[task].instruction,
                        "source": source,
                    }
                )
        (partial / "donors.json").write_text(json.dumps({"frames": entries}, indent=1) + "\n")


def main() -> None:
    """Parse the command line and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the samples directory")
    options = parser.parse_args()
    scenes = {task: Scene(task) for task in TASKS}
    total = record_bag(scenes, options.out / "metaworld")
    record_donors(scenes, options.out / "donors")
    for scene in scenes.values():
        scene.close()
    print(f"{len(EPISODES)} episodes, {total} frames of {len(CAMERAS)} cameras, {DONORS} donor moments")


if __name__ == "__main__":
    main()
