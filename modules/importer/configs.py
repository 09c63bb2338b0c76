"""The original's flat ``config.yaml`` as ours: same names where the concept is the same.

Its ``base_config`` and folders of data are never followed: what it does not say is at our defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from modules.importer.networks import number, whole
from utils.commons.schema import Config, DataError

Settings = Mapping[str, Any]

_COMMON = {
    **dict.fromkeys(("seed", "max_updates", "warmup_updates", "accumulate_grad_batches", "val_check_interval"), int),
    **dict.fromkeys(("num_sanity_val_steps", "eval_max_batches", "num_ckpt_keep", "tb_log_interval"), int),
    **dict.fromkeys(("lr", "clip_grad_norm"), float),
}
_BY_FAMILY: dict[str, dict[str, type]] = {
    "syncnet": {},
    "audio2motion": {"lambda_kl": float, "lambda_sync": float},
    "postnet": {
        "postnet_disc_start_steps": int,
        **dict.fromkeys(("postnet_disc_lr", "postnet_lambda_adv", "postnet_lambda_sync", "postnet_lambda_mse"), float),
    },
    "nerf": {"n_rays": int, "in_rect_percent": float},
}
_TASKS = {
    "syncnet": "tasks.syncnet.task.SyncNetTask",
    "audio2motion": "tasks.audio2motion.task.Audio2MotionTask",
    "postnet": "tasks.postnet.task.PostNetTask",
    "head": "tasks.nerf.task.NerfHeadTask",
    "torso": "tasks.nerf.task.NerfTorsoTask",
}
_LINKS = ("head_model_dir", "audio2motion_work_dir", "syncnet_work_dir")
SPEECH = {"speech_encoder": "hubert", "speech_dim": 1024}


def check_links(settings: Settings, title: str) -> None:
    """Pass if the experiments a configuration names are inside the release.

    Raises:
        DataError: One is named by an absolute path or one that leads out.
    """
    for key in _LINKS:
        value = settings.get(key) or ""
        path = PurePosixPath(str(value).replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in str(value):
            raise DataError(
                f"{title}/config.yaml: {key} names {value!r}, which is outside of the release; write it as "
                "checkpoints/<owner>/<name>"
            )


def syncnet_config(settings: Settings, network: Config) -> dict[str, Any]:
    """Return the configuration of a SyncNet."""
    return _taken("syncnet", settings) | network.model_dump(mode="json") | SPEECH | _owner("syncnet")


def audio2motion_config(settings: Settings, network: Config, *, syncnet_dir: str) -> dict[str, Any]:
    """Return the configuration of an audio2motion VAE; ``syncnet_dir`` is empty if there is no expert."""
    values = _taken("audio2motion", settings) | network.model_dump(mode="json") | SPEECH | _owner("audio2motion")
    return values | {"syncnet_work_dir": syncnet_dir}


def postnet_config(
    settings: Settings, network: Config, critic: Config | None, *, video_id: str, vae_dir: str, syncnet_dir: str
) -> dict[str, Any]:
    """Return the configuration of a post-net: drawn at temperature 1 as the original, its learning rate made true."""
    values = _taken("postnet", settings) | network.model_dump(mode="json") | SPEECH | _owner("postnet")
    return values | {
        **(critic.model_dump(mode="json") if critic else {}),
        "video_id": video_id,
        "audio2motion_work_dir": vae_dir,
        "syncnet_work_dir": syncnet_dir,
        "postnet_lr": number(settings, "lr", 5e-4),
        "infer_temperature": 1.0,
    }


def head_config(settings: Settings, network: Config, *, video_id: str) -> dict[str, Any]:
    """Return the configuration of a vanilla head."""
    values = _taken("nerf", settings) | network.model_dump(mode="json") | _owner("head")
    return values | {"video_id": video_id, "field": "vanilla"} | _RAYS


def torso_config(settings: Settings, network: Config, *, video_id: str, head_dir: str) -> dict[str, Any]:
    """Return the configuration of a vanilla torso."""
    values = _taken("nerf", settings) | network.model_dump(mode="json") | _owner("torso")
    return values | {
        "video_id": video_id,
        "field": "vanilla",
        "head_model_dir": head_dir,
        "frames_per_step": 1,
        "frame_stay_steps": 1,
    }


_RAYS = {
    "frames_per_step": 1,
    "frame_stay_steps": 1,
    "lip_rays_percent": 0.0,
    "eye_rays_percent": 0.0,
    "rare_frames_weight": 0.0,
}


def _owner(task: str) -> dict[str, str]:
    return {"task_cls": _TASKS[task]}


def _taken(family: str, settings: Settings) -> dict[str, Any]:
    """Return the keys whose names and meaning are ours too, typed."""
    kinds = _COMMON | _BY_FAMILY[family]
    readers = {int: whole, float: number}
    return {key: readers[kind](settings, key, 0) for key, kind in kinds.items() if settings.get(key) is not None}
