"""Where everything lies, relative to the repository root: the one place that spells folder names.

The same noun names the same thing in every column: ``data/*/videos/<id>``, ``checkpoints/<id>``, ``infer_out/<id>``.
``GENEFACE_ROOT`` moves data, checkpoints and outputs elsewhere (tests use it); the code stays where it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from utils.commons.schema import ConfigError

CODE_ROOT = Path(__file__).resolve().parents[2]
SHIPPED = "generic"
"""First part of the name of an experiment that comes with the code: ``generic/syncnet``, ``generic/lm3d_vae``."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def work_root() -> Path:
    """Return the folder that holds data, checkpoints and infer_out."""
    return Path(os.environ.get("GENEFACE_ROOT", CODE_ROOT))


def check_id(name: str, *, what: str = "video_id") -> str:
    """Return ``name`` if it can name a folder; raise :class:`ConfigError` otherwise."""
    if not _ID.fullmatch(name):
        raise ConfigError(f"{what} {name!r} must be letters, digits, '_', '-' or '.', and begin with a letter or digit")
    return name


def raw_video(video_id: str) -> Path:
    return work_root() / "data" / "raw" / "videos" / f"{check_id(video_id)}.mp4"


def raw_wav(wav_id: str) -> Path:
    return work_root() / "data" / "raw" / "val_wavs" / f"{check_id(wav_id, what='wav_id')}.wav"


def processed_video(video_id: str) -> Path:
    return work_root() / "data" / "processed" / "videos" / check_id(video_id)


def binary_video(video_id: str) -> Path:
    return work_root() / "data" / "binary" / "videos" / check_id(video_id)


def processed_corpus(name: str) -> Path:
    return work_root() / "data" / "processed" / "corpora" / check_id(name, what="corpus")


def binary_corpus(name: str) -> Path:
    return work_root() / "data" / "binary" / check_id(name, what="corpus")


def experiment(exp_name: str) -> Path:
    """Return ``checkpoints/<exp_name>``; ``exp_name`` is ``<id>/<task>`` such as ``May/lm3d_nerf``."""
    for part in exp_name.split("/"):
        check_id(part, what="exp_name")
    return work_root() / "checkpoints" / exp_name


def pred_lm3d(video_id: str, wav_id: str) -> Path:
    return work_root() / "infer_out" / check_id(video_id) / "pred_lm3d" / f"{wav_id}.npy"


def pred_video(video_id: str, wav_id: str) -> Path:
    return work_root() / "infer_out" / check_id(video_id) / "pred_video" / f"{wav_id}.mp4"


def under_work_root(path: str | Path) -> Path:
    """Return ``path`` itself if absolute, the shipped one for ``generic/<task>``, else below :func:`work_root`."""
    parts = Path(path).parts
    if parts and parts[0] == SHIPPED:
        return CODE_ROOT / "modules" / Path(path)
    return Path(path) if Path(path).is_absolute() else work_root() / path
