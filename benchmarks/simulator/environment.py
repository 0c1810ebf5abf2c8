# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Meta-World scenes with a wall poster that can give the object's place away."""

from __future__ import annotations

import os

# OSMesa and EGL do not draw the same pixels; the choice must be made before mujoco is imported.
os.environ["MUJOCO_GL"] = "osmesa"
os.environ.setdefault("LP_NUM_THREADS", "1")

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from numpy.typing import NDArray

INSTRUCTIONS = {
    "button-press-topdown-v3": "press the button on the box from the top down",
    "handle-press-v3": "press the handle down sideways",
    "coffee-button-v3": "push the button on the coffee machine",
}
TASKS = tuple(INSTRUCTIONS)
VOCABULARY = tuple(sorted({word for text in INSTRUCTIONS.values() for word in text.split()}))
CAMERAS = ("front", "wrist")
CAMERA_SIZE = 256
STATE_NAMES = ("hand_x", "hand_y", "hand_z", "gripper")
BACKGROUND, ROBOT, TARGET, SUPPORT = 0, 1, 2, 3
POSTER_CONDITIONS = ("aligned", "shuffled", "none")

_WALL_Y = -0.35
_OBJECT_COLOUR = (0.50, 0.37, 0.29)
_ROBOT_ROOTS = {"base", "right_arm_base_link", "mocap", "controller_box", "pedestal", "torso"}
_SUPPORT_ROOTS = {"tablelink", "table", "RetainingWall"}


def _add_box(spec: mujoco.MjSpec, name: str, position: list, half_size: list, colour: list) -> None:
    box = spec.worldbody.add_geom()
    box.name, box.type, box.group = name, mujoco.mjtGeom.mjGEOM_BOX, 0
    box.pos, box.size, box.rgba = position, half_size, colour
    # Decoration only: nothing collides with it, so the dynamics are those of Meta-World.
    box.contype = box.conaffinity = 0


def _add_camera(body, name: str, position: list, forward: list, up: list, fovy: float) -> None:
    backward = -np.asarray(forward, float) / np.linalg.norm(forward)
    right = np.cross(up, backward)
    right /= np.linalg.norm(right)
    camera = body.add_camera()
    camera.name, camera.pos, camera.fovy = name, position, fovy
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = np.r_[right, np.cross(backward, right)]


def _decorated_model(path: str) -> mujoco.MjModel:
    """Compile Meta-World's model file with a wall, a poster and the two cameras."""
    spec = mujoco.MjSpec.from_file(path)
    _add_box(spec, "added_wall", [0, _WALL_Y, 0.6], [2.5, 0.02, 1.4], [0.75, 0.75, 0.72, 1])
    _add_box(spec, "added_poster", [0, _WALL_Y + 0.04, 0.55], [0.09, 0.01, 0.09], [0.1, 0.75, 0.25, 1])
    position = np.array([0.0, 1.75, 1.0])
    _add_camera(spec.worldbody, "front", position, np.array([0, 0.5, 0.2]) - position, [0, 0, 1], 40)
    # Beside the fingers, looking level across the table and rolled by a quarter turn: the hand's x axis
    # points down, its y axis away from the wall. The shipped samples and checkpoints are made with this view.
    _add_camera(spec.body("hand"), "wrist", [0, -0.1, -0.04], [0, 1, 0], [0, 0, 1], 60)
    return spec.compile()


def _make_environment(task: str):
    original = mujoco.MjModel.from_xml_path
    mujoco.MjModel.from_xml_path = staticmethod(_decorated_model)
    try:
        environment = ALL_V3_ENVIRONMENTS[task]()
    finally:
        mujoco.MjModel.from_xml_path = original
    environment._freeze_rand_vec = False
    environment._set_task_called = True
    # Otherwise the place of the object comes from numpy's global generator, whatever the seed.
    environment.seeded_rand_vec = True
    # An environment that is built directly hides the goal from the expert; the cached space clips it to 0.
    environment._partially_observable = False
    environment.__dict__.pop("sawyer_observation_space", None)
    return environment


class Scene:
    """One task with its expert, poster, two cameras and label images."""

    def __init__(self, task: str) -> None:
        if task not in INSTRUCTIONS:
            raise ValueError(f"task must be one of {TASKS}, got {task!r}")
        self.task, self.instruction = task, INSTRUCTIONS[task]
        self._environment = _make_environment(task)
        self.model, self.data = self._environment.model, self._environment.data
        self.step_seconds = float(self._environment.dt)
        self._poster = self.model.geom("added_poster").id
        self._labels = np.array(
            [self._label(geom) for geom in range(self.model.ngeom)] + [BACKGROUND], np.uint8
        )
        self._hide_objects()
        self.model.vis.quality.offsamples = 0
        self._renderer = mujoco.Renderer(self.model, CAMERA_SIZE, CAMERA_SIZE)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        self._options = mujoco.MjvOption()
        self._options.sitegroup[:] = 0  # sites mark the goal
        self._options.geomgroup[:] = [1, 1, 1, 0, 0, 0]

    def _label(self, geom: int) -> int:
        body, chain = self.model.geom_bodyid[geom], []
        while body > 0:
            chain.append(self.model.body(body).name)
            body = self.model.body_parentid[body]
        name = self.model.geom(geom).name
        if name.startswith("added_") or name == "floor":
            return BACKGROUND
        if not chain or chain[-1] in _SUPPORT_ROOTS:
            return SUPPORT
        return ROBOT if chain[-1] in _ROBOT_ROOTS or "hand" in chain else TARGET

    def _hide_objects(self) -> None:
        """Paint the objects in the table's brown, so that they are hard to see."""
        for geom in np.flatnonzero(self._labels[:-1] == TARGET):
            self.model.geom_matid[geom] = -1
            self.model.geom_rgba[geom, :3] = _OBJECT_COLOUR

    def reset(self, seed: int) -> None:
        """Start an episode; ``seed`` alone fixes where the object stands."""
        self._environment.seed(int(seed))  # reset() ignores the seed that it takes
        self._observation, _ = self._environment.reset()
        self._environment.curr_path_length = 0
        self._expert = ENV_POLICY_MAP[self.task]()

    def place_poster(self, condition: str, rng: np.random.Generator) -> None:
        """Put the poster where the object's place says, anywhere in the same range, or out of sight."""
        if condition not in POSTER_CONDITIONS:
            raise ValueError(f"poster condition must be one of {POSTER_CONDITIONS}, got {condition!r}")
        x, y = self._environment._last_rand_vec[:2]
        across, height = {
            "aligned": lambda: (0.42 + 2.4 * x, 0.30 + 3.0 * (y - 0.85)),
            "shuffled": lambda: (rng.uniform(0.18, 0.66), rng.uniform(0.15, 0.45)),
            "none": lambda: (0.0, -5.0),
        }[condition]()
        self.model.geom_pos[self._poster, [0, 2]] = across, height
        mujoco.mj_kinematics(self.model, self.data)

    def step(self, action: NDArray) -> bool:
        """Apply ``action`` [4] in [-1, 1] and return whether the task is solved now."""
        command = np.clip(action, -1, 1).astype(np.float32)
        self._observation, _, _, _, info = self._environment.step(command)
        return bool(info["success"] > 0)

    def expert_action(self) -> NDArray[np.float32]:
        """Return what the scripted expert does now, [4] in [-1, 1]."""
        return np.clip(self._expert.get_action(self._observation), -1, 1).astype(np.float32)

    @property
    def state(self) -> NDArray[np.float64]:
        """Hand position in metres and gripper opening in [0, 1], [4]; the names are STATE_NAMES."""
        return self._observation[:4].copy()

    def joints(self) -> tuple[list[str], list[float], list[float]]:
        """Return names, positions and velocities of the robot's joints in rad, fingers in m."""
        own = [
            joint
            for joint in map(self.model.joint, range(self.model.njnt))
            if joint.name.startswith("right_j") or joint.name in ("r_close", "l_close")
        ]
        return (
            [joint.name for joint in own],
            [float(self.data.qpos[joint.qposadr[0]]) for joint in own],
            [float(self.data.qvel[joint.dofadr[0]]) for joint in own],
        )

    def image(self, camera: str) -> NDArray[np.uint8]:
        """Render RGB [256, 256, 3]."""
        self._renderer.disable_segmentation_rendering()
        self._renderer.update_scene(self.data, camera, self._options)
        return self._renderer.render().copy()

    def labels(self, camera: str) -> NDArray[np.uint8]:
        """Render the label image [256, 256]: background, robot, target object or support a pixel."""
        self._renderer.enable_segmentation_rendering()
        self._renderer.update_scene(self.data, camera, self._options)
        pixels = self._renderer.render()
        self._renderer.disable_segmentation_rendering()
        is_geom = pixels[..., 1] == mujoco.mjtObj.mjOBJ_GEOM
        return self._labels[np.where(is_geom, pixels[..., 0], -1)]

    def close(self) -> None:
        """Free the renderer, which complains when the interpreter does it at exit."""
        self._renderer.close()
