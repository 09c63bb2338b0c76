"""A release of the original made by the deterministic weight rule: its folders, names, shapes and file format."""

from __future__ import annotations

import functools
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from tests.parity.rule import reference_tensors

PARITY = Path(__file__).parents[1] / "parity"
State = dict[str, dict[str, Tensor]]


@functools.cache
def published_shapes() -> dict[str, dict[str, list[int]]]:
    files = ("motion_state_dicts.json", "nerf_state_dicts.json")
    return {k: v for file in files for k, v in json.loads((PARITY / file).read_text(encoding="utf-8")).items()}


@functools.cache
def reference_state(name: str) -> dict[str, Tensor]:
    """Return the tensors of one network, by its name among the published shapes."""
    return reference_tensors(published_shapes()[name])


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def states() -> dict[str, tuple[int, State]]:
    """Return step and state_dict of each experiment of the release."""
    syncnet, vae = reference_state("syncnet"), reference_state("lm3d_vae")
    drifted = vae | {"mel_encoder.1.running_mean": vae["mel_encoder.1.running_mean"] + 0.05}
    head = reference_state("lm3d_nerf")
    return {
        "lrs3/syncnet": (40000, {"model": syncnet}),
        "lrs3/lm3d_vae": (40000, {"syncnet_task": under("model.", syncnet), "model": vae}),
        "May/postnet": (
            6000,
            {
                "audio2motion_task": under("syncnet_task.model.", syncnet) | under("model.", drifted),
                "syncnet_task": under("model.", syncnet),
                "disc_model": reference_state("postnet_discriminator"),
                "model": reference_state("postnet"),
            },
        ),
        "May/lm3d_nerf": (400000, {"model": head}),
        "May/lm3d_nerf_torso": (400000, {"head_model": head, "model": reference_state("lm3d_nerf_torso")}),
    }


CONFIGS: dict[str, dict[str, Any]] = {
    "lrs3/syncnet": {"lr": 5e-4, "max_updates": 50000},
    "lrs3/lm3d_vae": {"lambda_kl": 0.5, "lr": 5e-4, "syncnet_work_dir": "checkpoints/lrs3/syncnet"},
    "May/postnet": {
        "video_id": "May",
        "lr": 5e-4,
        "postnet_lr": 1e-4,
        "postnet_lambda_adv": 0.85,
        "infer_ckpt_steps": 6000,
        "audio2motion_work_dir": "checkpoints/lrs3/lm3d_vae/",
        "syncnet_work_dir": "checkpoints/lrs3/syncnet",
    },
    "May/lm3d_nerf": {
        **{"video_id": "May", "near": 0.3, "far": 0.9, "n_samples_per_ray": 64, "n_samples_per_ray_fine": 128},
        **{"cond_win_size": 1, "smo_win_size": 5, "no_smo_iterations": 200000, "n_rays": 1600, "hidden_size": 256},
    },
    "May/lm3d_nerf_torso": {
        **{"video_id": "May", "near": 0.3, "far": 0.9, "n_samples_per_ray": 64, "n_samples_per_ray_fine": 128},
        **{"head_model_dir": "checkpoints/May/lm3d_nerf", "use_color": True},
    },
}


def write_experiment(
    folder: Path, step: int, state: dict[str, Any], config: dict[str, Any], *, old_format: bool = True, **more: Any
) -> Path:
    """Write ``config.yaml`` and a checkpoint as the original does; return the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    base = {"base_config": ["egs/egs_bases/x.yaml"], "work_dir": f"checkpoints/{folder.parent.name}/{folder.name}"}
    (folder / "config.yaml").write_text(yaml.safe_dump(base | config), encoding="utf-8")
    content = {
        **{"epoch": 3, "global_step": step, "checkpoint_callback_best": 0.01},
        "optimizer_states": [{"state": {}, "param_groups": []}],
        "state_dict": {name: _as_saved(child) for name, child in state.items()},
        **more,
    }
    path = folder / f"model_ckpt_steps_{step}.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    return path


def _as_saved(child: Any) -> Any:
    """Return tensors as ``state_dict()`` gives them: an ordered dict that knows the versions of its modules."""
    if not isinstance(child, dict):
        return child
    ordered = OrderedDict(child)
    ordered._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    return ordered


def write_release(root: Path, *names: str) -> Path:
    """Write experiments below ``root``, all of them if none is named."""
    for name, (step, state) in states().items():
        if not names or name in names:
            write_experiment(root / name, step, state, CONFIGS[name])
    return root
