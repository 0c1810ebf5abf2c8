# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies whose action expert is a flow: SmolVLA, pi0 and pi0.5. Images and words are the prefix that it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import accumulate
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import Distribution, ReferencePath, Velocities, euler_widths
from vla_iss_ros.iss.observation import Actions, Prepared
from vla_iss_ros.iss.tokens import CAMERA, KINDS, Encoded, Segment, TokenScores
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.base import LeRobotPolicy, Parts
from vla_iss_ros.policies.lerobot.letterbox import Letterbox
from vla_iss_ros.policies.lerobot.processors import ACTION
from vla_iss_ros.policies.lerobot.prompt import Part, label_tokens, plain_parts, text_segments, words_of
from vla_iss_ros.policies.lerobot.reading import HiddenPrefix, Watch
from vla_iss_ros.policies.lerobot.shadowing import shadowed

TOKENS, MASK = "observation.language.tokens", "observation.language.attention_mask"
LABELS = "vla_iss.labels"  # of every text token: index of its kind, index of its word


class FlowPolicy(LeRobotPolicy):
    """A flow-matching policy in pixels, tokens and velocities.

    Tokens are the raw output of the vision tower and of the word embedding. Text padding is dropped in pixel space as
    well. Noise has the padded number of action dimensions; velocities are told for the real ones, as padding is no
    action.
    """

    distribution = "flow"
    # Where the library's model embeds, and which method of its policy prepares images.
    tower_name = ""
    prepare_name = ""

    def __init__(self, parts: Parts) -> None:
        self.tower = getattr(parts.network.model, self.tower_name)
        self._actions = int(parts.config.output_features[ACTION].shape[0])
        super().__init__(parts)
        if parts.processors.tokenizer is None:
            raise PolicyError(
                f"'{parts.directory.path}' has no step 'tokenizer_processor'; save the policy again"
            )
        if parts.processors.normalises_images() and any(
            isinstance(rule, Letterbox) for rule in self._rules.values()
        ):
            raise PolicyError(
                f"'{parts.directory.path}' normalises images before it pads them, which has no adapter; "
                "set the normalisation of VISUAL to IDENTITY and train again"
            )

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """A chunk of the padded action dimensions."""
        return int(self.config.chunk_size), int(self.config.max_action_dim)

    def token_grid(self, camera: str) -> tuple[int, int]:
        """Return rows and columns of a camera's tokens; raises PolicyError where they make no grid."""
        height, width = self._rules[camera].size
        with torch.inference_mode():
            count = self.tower.embed_image(torch.zeros(1, 3, height, width, device=self.device)).shape[1]
        rows = round((count * height / width) ** 0.5)
        if rows == 0 or count % rows:
            raise PolicyError(
                f"the vision tower makes {count} tokens of {height} x {width} pixels, which is no grid"
            )
        return rows, count // rows

    def text_parts(self, text: str) -> tuple[Part, ...]:
        """Return what the prompt consists of."""
        return plain_parts(text)

    def words(self, instruction: str, text: str) -> tuple[str, ...]:
        """Return the instruction's words as the prompt has them."""
        return words_of(text, self.text_parts(text))

    def prepare_inputs(self, inputs: dict[str, Tensor], text: str) -> dict[str, Any]:
        """Drop the padding of the text and label its tokens."""
        valid = int(inputs[MASK].sum())
        if bool(inputs[MASK][0, :valid].all()):  # padded at its end
            inputs = {**inputs, TOKENS: inputs[TOKENS][:, :valid], MASK: inputs[MASK][:, :valid]}
        labels = self._labels(text, inputs[TOKENS][0].tolist())
        return {**inputs, LABELS: torch.tensor([labels])}

    def act(
        self, batch: dict[str, Tensor], noise: Tensor | None, path: ReferencePath | None
    ) -> tuple[Tensor, Distribution | None]:
        """Return the chunk, and along a path the velocities."""
        steps = Steps(self.network.model.denoise_step, path)
        chunk = self._run(batch, noise, steps)
        if path is None:
            return chunk, None
        assert path.times is not None
        values = torch.stack(steps.velocities, 1)[..., : self._actions].float()
        times = path.times.to(values.device)
        return chunk, Velocities(values, times, euler_widths(times))

    def reference_path(self, base: Prepared, noise: Tensor | None) -> ReferencePath:
        """Return the noisy chunks [1, S, T, D] of the unperturbed observation and their times; D is padded."""
        pictures = {key: base.images[name] for name, key in self._keys.items()}
        steps = Steps(self.network.model.denoise_step, None)
        self._run({**self.rows(base.inputs, 1), **self.processors.images(pictures)}, noise, steps)
        times = torch.tensor(steps.times, device=self.device)
        return ReferencePath(torch.stack(steps.points, 1).float(), times)

    def encode(self, base: Prepared) -> Encoded:
        """Run the vision tower on every camera and embed the text."""
        pictures = {key: base.images[name] for name, key in self._keys.items()}
        batch = {**self.rows(base.inputs, 1), **self.processors.images(pictures)}
        images, masks = getattr(self.network, self.prepare_name)(batch)
        embedded = [self.tower.embed_image(image) for image in images]
        text = self.tower.embed_language_tokens(batch[TOKENS])
        # After the cameras' come those of slots that no camera fills; they are masked.
        cameras, empty = embedded[: len(self._keys)], embedded[len(self._keys) :]
        tokens = torch.cat([*cameras, text], 1)
        inputs = {
            "batch": base.inputs,
            "empty": empty,
            "masks": masks,
            "sizes": [part.shape[1] for part in (*cameras, text)],
            "dtypes": [part.dtype for part in (*cameras, text)],
        }
        return Encoded(tokens, tuple(self._segments(base)), inputs)

    def run_tokens(
        self, encoded: Encoded, tokens: Tensor, noise: Tensor | None, path: ReferencePath | None = None
    ) -> Actions:
        """Act on N variants of the embeddings; the vision tower does not run."""
        with self._embedded(encoded, tokens):
            return self.answer(*self.act(self.rows(encoded.inputs["batch"], len(tokens)), noise, path))

    def attention(self, encoded: Encoded, noise: Tensor | None) -> TokenScores:
        """Return what the action expert attends to in its last layer."""
        watch = Watch(self.network.model.denoise_step)
        with self._embedded(encoded, encoded.tokens), self.watched(watch):
            self._run(self.rows(encoded.inputs["batch"], 1), noise, watch)
        scores = watch.mean(self._positions(encoded))
        return TokenScores(
            scores, "attention of the expert's last layer, mean over heads, action and flow steps"
        )

    def watched(self, watch: Watch) -> AbstractContextManager[Any]:
        """Let ``watch`` note the attention of every layer of the expert."""
        raise NotImplementedError  # abstract

    def run_knocked_out(self, encoded: Encoded, hidden: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants whose expert cannot read tokens in ``hidden`` bool [N, L]; the prefix is computed once."""
        positions = self._positions(encoded)
        inside = hidden.new_zeros(len(hidden), int(positions.max()) + 1)
        inside[:, positions] = hidden
        reader = HiddenPrefix(self.network.model.denoise_step, self.tower.forward, inside)
        batch = self.rows(encoded.inputs["batch"], 1)
        with self._embedded(encoded, encoded.tokens), shadowed(self.tower, forward=reader.forward):
            return self.answer(self._run(batch, noise, reader.step, len(hidden)))

    def _positions(self, encoded: Encoded) -> Tensor:
        """Return where in the prefix every token stands, int64 [L]."""
        sizes = [*encoded.inputs["sizes"][:-1], *(part.shape[1] for part in encoded.inputs["empty"])]
        # Two tokens before an image and one after it, where the policy has them.
        before, after = (2, 1) if getattr(self.config, "add_image_special_tokens", False) else (0, 0)
        starts = list(accumulate([size + before + after for size in sizes], initial=0))
        blocks = [
            torch.arange(start + before, start + before + size)
            for start, size in zip(starts, encoded.inputs["sizes"][:-1], strict=False)
        ]
        blocks.append(torch.arange(starts[-1], starts[-1] + encoded.inputs["sizes"][-1]))
        return torch.cat(blocks).to(self.device)

    @contextmanager
    def _embedded(self, encoded: Encoded, tokens: Tensor) -> Iterator[None]:
        """Let the library find ``tokens`` [N, L, D] where it would embed images and text."""
        inputs, count = encoded.inputs, len(tokens)
        *images, text = (
            part.to(dtype)
            for part, dtype in zip(tokens.split(inputs["sizes"], 1), inputs["dtypes"], strict=True)
        )
        answers = iter([*images, *(part.expand(count, -1, -1) for part in inputs["empty"])])
        embed = self.tower.embed_language_tokens
        # Images are asked for by their number alone from here on.
        blank = [tokens.new_empty(count, 0)] * len(inputs["masks"])
        masks = [mask.expand(count) for mask in inputs["masks"]]
        with (
            shadowed(self.network, **{self.prepare_name: lambda batch: (blank, masks)}),
            shadowed(
                self.tower,
                embed_image=lambda image: next(answers),
                # Ids without a batch are those of the tokens around an image.
                embed_language_tokens=lambda ids: text if ids.ndim == 2 else embed(ids),
            ),
        ):
            yield

    def _run(
        self,
        batch: dict[str, Tensor],
        noise: Tensor | None,
        step: Callable[..., Tensor],
        count: int | None = None,
    ) -> Tensor:
        """Let the library integrate the flow by ``step``, every row from the same noise.

        ``count``: rows, where they are not those of the batch.

        The decorators that forbid gradients are left out: attributions may want them.
        """
        assert noise is not None
        network, model = self.network, self.network.model
        rows = noise.expand(len(batch[TOKENS]) if count is None else count, -1, -1)
        predict = inspect.unwrap(type(network).predict_action_chunk)
        sample = MethodType(inspect.unwrap(type(model).sample_actions), model)
        with shadowed(model, denoise_step=step, sample_actions=sample):
            chunk: Tensor = predict(network, dict(batch), noise=rows)
        return chunk

    def _labels(self, text: str, ids: list[int]) -> list[tuple[int, int]]:
        """Return each text token's kind and word; raises PolicyError when they cannot be told."""
        step = self.processors.tokenizer
        try:
            found = step.input_tokenizer(
                text, return_offsets_mapping=True, truncation=step.truncation, max_length=step.max_length
            )
        except NotImplementedError as error:
            raise PolicyError(
                f"tokenizer '{step.tokenizer_name}' does not tell which characters its tokens stand for; "
                "use its fast form"
            ) from error
        if list(found["input_ids"]) != ids:
            raise PolicyError(
                f"tokenizer '{step.tokenizer_name}' makes other tokens of the same text {text[:80]!r}; check its files"
            )
        labels = label_tokens(text, self.text_parts(text), found["offset_mapping"])
        return [(KINDS.index(kind), word) for kind, word in labels]

    def _segments(self, base: Prepared) -> list[Segment]:
        segments, start = [], 0
        for camera in self.spec.cameras:
            assert camera.token_grid is not None
            rows, columns = camera.token_grid
            box = base.content.get(camera.name)
            content = None if box is None else _in_tokens(box, camera.input_size, camera.token_grid)
            stop = start + rows * columns
            segments.append(Segment(CAMERA, start, stop, camera.name, camera.token_grid, content))
            start = stop
        labels = [(KINDS[kind], word) for kind, word in base.inputs[LABELS][0].tolist()]
        return segments + text_segments(labels, base.words, start)


class Steps:
    """Takes a flow's steps, and looks on: at the points and times of its own path, or at velocities on another."""

    def __init__(self, step: Any, path: ReferencePath | None) -> None:
        self._step, self._path = step, path
        self.points: list[Tensor] = []
        self.times: list[float] = []
        self.velocities: list[Tensor] = []

    def __call__(self, **given: Any) -> Tensor:
        """Return the velocity at ``x_t``."""
        velocity: Tensor = self._step(**given)
        if self._path is None:
            self.points.append(given["x_t"][:1])
            self.times.append(float(given["timestep"].flatten()[0]))
        else:
            point = self._path.points[:, len(self.velocities)].to(given["x_t"]).expand_as(given["x_t"])
            self.velocities.append(self._step(**{**given, "x_t": point}))
        return velocity


def _in_tokens(
    box: Sequence[int], size: tuple[int, int], grid: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return a box of pixels in tokens."""
    down, across = grid[0] / size[0], grid[1] / size[1]
    top, left, height, width = box
    return top * down, left * across, height * down, width * across
