# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Load OpenVLA from a local directory, whose own Python files run only where that is allowed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import torch
from safetensors import SafetensorError, safe_open

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.hugging_face import import_torchvision, stay_offline
from vla_iss_ros.policies.openvla.directory import MODEL, Directory, read_directory
from vla_iss_ros.policies.openvla.policy import OpenVlaPolicy

OPTIONS = ("unnorm_key", "camera")
HASHED_AT_ONCE = 2**24


def load_openvla(path: str, device: torch.device, remote_code: bool) -> OpenVlaPolicy:
    """Load ``DIRECTORY?unnorm_key=...&camera=...``; raises PolicyError in one line when it is not usable.

    The model's class is Python code in the directory, so ``remote_code`` is needed. Weights are those of its
    safetensors, all of them, or it is refused. Nothing is looked for on the network.
    """
    name, _, query = path.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [option for option in options if option not in OPTIONS]
    if unknown or not name:
        raise PolicyError(
            f"policy openvla needs openvla:DIRECTORY, perhaps with {' or '.join(OPTIONS)}, got '{path}'"
        )
    directory = read_directory(Path(name).expanduser(), options.get("unnorm_key", ""))
    if not remote_code:
        raise PolicyError(
            f"'{directory.path}' brings its network as Python code ({directory.classes[MODEL]}); read it, "
            "and set allow_remote_code if you trust it"
        )
    model, tokenizer = _load(directory, device)
    return OpenVlaPolicy(
        model, tokenizer, directory, options.get("camera") or "front", device, _hash(directory.files)
    )


def _load(directory: Directory, device: torch.device) -> tuple[Any, Any]:
    stay_offline()
    # What transformers imports for a Llama imports torchvision where it is installed, and fails where that fails.
    with contextlib.suppress(ImportError):
        import_torchvision()
    try:
        from transformers import AutoTokenizer
        from transformers.dynamic_module_utils import get_class_from_dynamic_module
    except ImportError as error:
        raise PolicyError(
            f"policy openvla needs transformers ({error}); install it with: pip install vla_iss_ros[openvla]"
        ) from error
    place = str(directory.path)
    try:
        config_class, model_class = (
            get_class_from_dynamic_module(reference, place, local_files_only=True)
            for reference in directory.classes.values()
        )
        config = config_class.from_pretrained(place, local_files_only=True)
        # Half precision is for GPUs: on a CPU it is slow, and its rounding hides small effects.
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        model = model_class.from_pretrained(
            place, config=config, torch_dtype=dtype, use_safetensors=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)
        lacking = [
            name for name in ("vision_backbone", "projector", "language_model") if not hasattr(model, name)
        ]
        fast = bool(tokenizer.is_fast)
        model = model.to(device).eval().requires_grad_(False)
    except Exception as error:  # code of others may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PolicyError(
            f"'{place}' did not load: {reason}; its files may need other releases of transformers, tokenizers and timm"
        ) from error
    if lacking or not fast:
        what = f"its model has no {lacking[0]}" if lacking else "its tokeniser does not tell where tokens lie"
        raise PolicyError(f"'{place}' cannot be explained: {what}")
    _require_weights(model, directory.files)
    return model, tokenizer


def _require_weights(model: Any, files: Sequence[Path]) -> None:
    """Raise PolicyError unless every tensor is that of the files: a class may go on with random ones."""
    state, seen = model.state_dict(), set()
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - not a dict
                    saved = file.get_tensor(key)
                    loaded = state.get(key)
                    if loaded is None or loaded.shape != saved.shape:
                        found = "has no such tensor" if loaded is None else f"has {list(loaded.shape)}"
                        raise PolicyError(f"'{key}' in '{path}' is {list(saved.shape)}, the model {found}")
                    if not torch.equal(saved.to(loaded.dtype), loaded.cpu()) or not bool(
                        saved.isfinite().all()
                    ):
                        raise PolicyError(f"'{key}' in '{path}' is not finite, or not what the model holds")
                    seen.add(key)
        except (SafetensorError, OSError) as error:
            raise PolicyError(f"'{path}' is not a readable safetensors file: {error}") from error
    held = {state[key].data_ptr() for key in seen}
    missing = [key for key in state if key not in seen and state[key].data_ptr() not in held]
    if missing:
        raise PolicyError(
            f"'{files[0].parent}' has no weights for '{missing[0]}' and {len(missing) - 1} others; its files belong to "
            "another model"
        )


def _hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(HASHED_AT_ONCE):
                digest.update(block)
    return digest.hexdigest()[:16]
