# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small LeRobot data sets of both layouts, made by hand: two cameras, a state of four numbers, a task an episode."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FPS = 10
CAMERAS = ("front", "wrist")
NAMES = ["hand_x", "hand_y", "hand_z", "gripper"]
SIZE = (32, 48)


def colour(episode: int, index: int, camera: str) -> tuple[int, int, int]:
    """RGB that tells which frame this is, far enough apart for H.264."""
    return 40 + 60 * episode, 40 + 20 * index, 60 if camera == "front" else 180


def picture(episode: int, index: int, camera: str) -> np.ndarray:
    return np.full((*SIZE, 3), colour(episode, index, camera), np.uint8)


def write_dataset(
    root: Path, version="v2.1", lengths=(5, 4), *, images: bool = False, names=NAMES, cameras=CAMERAS
) -> Path:
    """Write a data set; ``images``: PNG in the tables instead of videos."""
    keys = {camera: f"observation.images.{camera}" for camera in cameras}
    writer = _Version2 if version.startswith("v2") else _Version3
    features = {
        key: {"dtype": "image" if images else "video", "shape": [*SIZE, 3], "names": ["h", "w", "c"]}
        for key in keys.values()
    }
    numbers = {"dtype": "float32", "shape": [4], "names": names}
    features |= {"observation.state": numbers, "action": numbers}
    features |= {
        name: {"dtype": "int64", "shape": [1], "names": None}
        for name in ("frame_index", "episode_index", "index", "task_index")
    }
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    info = {"codebase_version": version, "fps": FPS, "chunks_size": 1000, "features": features}
    info |= {"data_path": writer.DATA, "video_path": None if images else writer.VIDEO}
    _write(root / "meta/info.json", json.dumps(info))
    writer(root, lengths, {} if images else keys).write(_tables(lengths, keys if images else {}))
    return root


class _Version2:
    DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"

    def __init__(self, root, lengths, videos):
        self.root, self.lengths, self.videos = root, lengths, videos

    def write(self, tables):
        tasks = [{"task_index": number, "task": f"task {number}"} for number in range(len(tables))]
        episodes = [
            {"episode_index": number, "tasks": [f"task {number}"], "length": length}
            for number, length in enumerate(self.lengths)
        ]
        for name, entries in (("tasks", tasks), ("episodes", episodes)):
            _write(self.root / f"meta/{name}.jsonl", "\n".join(map(json.dumps, entries)) + "\n")
        for number, table in enumerate(tables):
            _table(
                self.root / self.DATA.format(episode_chunk=0, episode_index=number),
                pa.Table.from_pylist(table),
            )
            for camera, key in self.videos.items():
                path = self.root / self.VIDEO.format(episode_chunk=0, episode_index=number, video_key=key)
                _video(path, [picture(number, index, camera) for index in range(self.lengths[number])])


class _Version3:
    DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

    def __init__(self, root, lengths, videos):
        self.root, self.lengths, self.videos = root, lengths, videos

    def write(self, tables):
        count = len(tables)
        # As pandas writes a frame whose index holds the texts.
        tasks = {"task_index": list(range(count)), "__index_level_0__": [f"task {n}" for n in range(count)]}
        _table(self.root / "meta/tasks.parquet", pa.table(tasks))
        starts = [sum(self.lengths[:number]) for number in range(count)]
        episodes = [
            {
                "episode_index": number,
                "tasks": [f"task {number}"],
                "length": self.lengths[number],
                "dataset_from_index": starts[number],
                "dataset_to_index": starts[number] + self.lengths[number],
                "data/chunk_index": 0,
                "data/file_index": 0,
                "stats/action/mean": [0.0],
            }
            | {
                f"videos/{key}/{name}": value
                for key in self.videos.values()
                for name, value in (
                    ("chunk_index", 0),
                    ("file_index", 0),
                    ("from_timestamp", starts[number] / FPS),
                    ("to_timestamp", (starts[number] + self.lengths[number]) / FPS),
                )
            }
            for number in range(count)
        ]
        _table(self.root / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(episodes))
        rows = [row for table in tables for row in table]
        _table(self.root / self.DATA.format(chunk_index=0, file_index=0), pa.Table.from_pylist(rows))
        for camera, key in self.videos.items():
            pictures = [
                picture(number, index, camera)
                for number in range(count)
                for index in range(self.lengths[number])
            ]
            _video(self.root / self.VIDEO.format(video_key=key, chunk_index=0, file_index=0), pictures)


def _tables(lengths, images) -> list[list[dict]]:
    """Rows of every episode; ``images``: camera to feature of pictures in the table."""
    tables, place = [], 0
    for episode, length in enumerate(lengths):
        rows = []
        for index in range(length):
            row = {
                "observation.state": np.array([episode, index, 0.5, 1.0], np.float32),
                "action": np.zeros(4, np.float32),
                "timestamp": np.float32(index / FPS),
                "frame_index": index,
                "episode_index": episode,
                "index": place,
                "task_index": episode,
            }
            for camera, key in images.items():
                pixels = cv2.imencode(".png", picture(episode, index, camera)[..., ::-1])[1].tobytes()
                row[key] = {"bytes": pixels, "path": f"frame_{index:06d}.png"}
            rows.append(row)
            place += 1
        tables.append(rows)
    return tables


def _video(path: Path, pictures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        # Key frames as LeRobot sets them, so that seeking has to decode some frames and not all.
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "10", "g": "2"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _table(path: Path, table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
