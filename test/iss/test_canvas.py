# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional
from toys import ToyPolicy, observe

from vla_iss_ros import settings
from vla_iss_ros.iss.canvas import CameraSize, Canvas, pixels_of
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.observation import Observation, Prepared

CONTENT = (2, 0, 4, 8)  # top, left, height, width


class LetterboxPolicy(ToyPolicy):
    """Sees a camera of 8 x 16 pixels as 4 x 8 in the middle of 8 x 8; acts by the mean of every pixel."""

    def __init__(self):
        super().__init__(
            lambda images: images.flatten(2).mean(2)[:, :, None], ("front",), content={"front": CONTENT}
        )
        self.seen = []

    def resize(self, images):
        return {
            name: functional.pad(functional.avg_pool2d(image, 2), (0, 0, 2, 2), value=0.5)
            for name, image in images.items()
        }

    def preprocess(self, observation):
        whole = {"front": pixels_of(observation.images["front"], self.device)}
        return Prepared(self.resize(whole), {}, self.content)

    def run_pixels(self, base, images, noise):
        self.seen.append(images.get("front", base.images["front"]))
        return super().run_pixels(base, images, noise)


def chosen(**values):
    return settings.check({"composite_resolution": "camera", "effects": False, "grid": 2, **values})


def camera(value: int) -> Observation:
    return Observation({"front": np.full((8, 16, 3), value, np.uint8)}, "press the button", None, 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_painted_by_hand(count):
    prepared = Prepared({"front": torch.full((1, 3, 4, 4), 0.25)})
    pictures = {"front": torch.tensor([0.75, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)}
    canvas = Canvas(prepared.images, pictures, CellGrid.over(prepared, 1), quantise=False)
    replaced = torch.tensor([[True], [False], [True]])[:count]
    painted = canvas.paint(replaced, torch.tensor([0, 1, 1])[:count])["front"]
    assert painted.flatten(1).max(1).values.tolist() == [0.75, 0.25, 1.0][:count]
    assert painted.flatten(1).min(1).values.tolist() == [0.75, 0.25, 1.0][:count]


def test_at_the_cameras_size_only_the_content_of_a_letterbox_changes():
    policy = LetterboxPolicy()
    painter = CameraSize(policy, chosen(), [camera(200)])
    here = camera(100)
    base = policy.preprocess(here)
    cells = CellGrid.over(base, 2)
    canvas = painter.canvas(here, base, cells, {})
    # All four cells, then the lower left one alone.
    replaced = torch.tensor([[True] * 4, [False, False, True, False], [False] * 4])
    painted = canvas.paint(replaced, torch.zeros(3, dtype=torch.int64))["front"]
    assert painted.shape == (3, 3, 8, 8)
    assert (painted[:, :, :2] == 0.5).all()
    assert (painted[:, :, 6:] == 0.5).all()
    assert torch.allclose(painted[0, :, 2:6], torch.tensor(200 / 255))
    assert painted[1, 0, 5, 0] == pytest.approx(200 / 255)
    assert painted[1, 0, 2, 7] == pytest.approx(100 / 255)
    assert torch.equal(painted[2:], base.images["front"])
    # Painting at the policy's size agrees where nothing but the mask's edges is averaged.
    direct = Canvas(base.images, {"front": policy.preprocess(camera(200)).images["front"]}, cells, False)
    torch.testing.assert_close(
        painted, direct.paint(replaced, torch.zeros(3, dtype=torch.int64))["front"], atol=0.05, rtol=0
    )


@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_the_loop_paints_at_the_cameras_size(batch_size):
    policy = LetterboxPolicy()
    values = chosen(samples=64, block_size=32, batch_size=batch_size)
    result = Explainer(policy, values, [camera(200)]).explain(camera(100))
    assert result.noise_floor == 0
    assert (result.estimate.contrast > 0).all()
    assert all(torch.equal(images[:1], policy.seen[0]) for images in policy.seen)
    assert all((images[:, :, :2] == 0.5).all() for images in policy.seen)


@pytest.mark.parametrize("baseline", ["blur", "mean_colour"])
def test_other_baselines_are_made_at_the_cameras_size(baseline):
    policy = LetterboxPolicy()
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = 200
    here = Observation({"front": pixels}, "press the button", None, 1)
    base = policy.preprocess(here)
    canvas = CameraSize(policy, chosen(baseline=baseline, blur_sigma=0.2), []).canvas(
        here, base, CellGrid.over(base, 2), {}
    )
    painted = canvas.paint(torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, dtype=torch.int64))["front"]
    expected = 100 / 255
    # The mean of the camera's image, with the padding left out of it.
    assert painted[0, :, 2:6].mean() == pytest.approx(expected, abs=1e-3)
    assert (painted[:, :, :2] == 0.5).all()


def test_a_policy_that_cannot_resize_is_refused():
    with pytest.raises(
        ValueError, match="camera needs a policy with a method resize and ToyPolicy has none; set"
    ):
        Explainer(ToyPolicy(lambda images: images, ("front",)), chosen(), [observe(0)])


def test_donors_of_another_camera_size_are_refused():
    painter = CameraSize(LetterboxPolicy(), chosen(), [camera(200)])
    larger = Observation({"front": np.zeros((16, 16, 3), np.uint8)}, "press the button", None, 1)
    with pytest.raises(ValueError, match=r"camera 'front' must be \[3, 16, 16\], got \[3, 8, 16\]"):
        painter.canvas(larger, Prepared({}), SimpleNamespace(rows=2, stitched=False), {})


def test_pixels_of_a_camera():
    image = np.zeros((2, 3, 3), np.uint8)
    image[1, 2] = 255, 51, 0
    pixels = pixels_of(image, torch.device("cpu"))
    assert pixels.shape == (1, 3, 2, 3)
    assert pixels.dtype == torch.float32
    assert pixels[0, :, 1, 2].tolist() == pytest.approx([1.0, 0.2, 0.0])
