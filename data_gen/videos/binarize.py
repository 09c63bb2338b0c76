"""All that was found about a person's clip becomes one self-contained dataset (``utils/data/person_store.py``)."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from data_gen.stages import STAGE_FILE, Progress
from data_gen.videos.audio_features import clip_audio
from data_gen.videos.config import ProcessConfig
from data_gen.videos.landmark_smoothing import smooth_landmarks
from utils.commons.schema import DataError
from utils.data.atomic import save_npy
from utils.data.person_store import PersonManifest, split_ranges, write_manifest
from utils.data.picture_store import PictureStore
from utils.media.audio import save_wav

logger = logging.getLogger(__name__)
_MAX_MISMATCH = 2
"""Frames by which the stages' lengths may differ before the clip is refused."""


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write a :class:`PersonStore` into ``out_dir``."""
    arrays = _load(processed_dir)
    length = common_length({name: len(a) // (2 if name in ("speech", "f0") else 1) for name, a in arrays.items()})
    pose = _json(processed_dir / "head_pose" / "head_pose.json")
    arrays = {name: a[: 2 * length if name in ("speech", "f0") else length] for name, a in arrays.items()}
    points = arrays.pop("lm68")[..., :2].astype(np.float32)
    height, width = int(pose["height"]), int(pose["width"])
    arrays |= {"lm2d": points, "face_rect": face_rects(points, height, width)}
    arrays["lip_rect"] = box_rects(points[:, 48:68], 0.25, height, width)
    arrays["eye_rect"] = box_rects(points[:, list(range(17, 27)) + list(range(36, 48))], 0.15, height, width)
    segments = [(int(a), min(int(b), length)) for a, b in pose["segments"] if int(a) < length]
    arrays["lm3d"] = smooth_landmarks(arrays["lm3d"], arrays["valid"], segments, config.landmark_smoothing)
    manifest = _manifest(config, processed_dir, pose, arrays, segments)
    for name, array in arrays.items():
        save_npy(out_dir / f"{name}.npy", array)
    _copy_pictures(processed_dir / "layers", out_dir, length)
    save_wav(out_dir / "audio.wav", clip_audio(processed_dir)[: length * 640])
    write_manifest(out_dir, manifest)


def _load(processed_dir: Path) -> dict[str, np.ndarray]:
    files = {
        "lm68": "landmarks/lm68.npy",
        "valid": "landmarks/valid.npy",
        "c2w": "head_pose/c2w.npy",
        "lm3d": "head_pose/lm3d.npy",
        "speech": "audio_features/speech.npy",
        "f0": "audio_features/f0.npy",
    }
    arrays: dict[str, np.ndarray] = {k: np.load(processed_dir / path, allow_pickle=False) for k, path in files.items()}
    for name in ("c2w", "lm3d"):
        if not np.isfinite(arrays[name]).all():
            raise DataError(
                f"{name} of {processed_dir.name} holds values that are not numbers; run --stage head_pose again"
            )
    return arrays


def common_length(lengths: dict[str, int]) -> int:
    """Return the shortest length in frames.

    Raises:
        DataError: The lengths differ by more than two frames.
    """
    shortest, longest = min(lengths.values()), max(lengths.values())
    if longest - shortest > _MAX_MISMATCH:
        listed = ", ".join(f"{name} {length}" for name, length in sorted(lengths.items()))
        raise DataError(
            f"the stages disagree about the number of frames ({listed}); process the video again with --force"
        )
    if longest != shortest:
        logger.warning("lengths differ (%d to %d frames); the clip is cut to %d", shortest, longest, shortest)
    return shortest


def _manifest(
    config: ProcessConfig,
    processed_dir: Path,
    pose: dict[str, Any],
    arrays: dict[str, np.ndarray],
    segments: list[tuple[int, int]],
) -> PersonManifest:
    length = len(arrays["lm3d"])
    train, test = split_ranges(segments)
    mean, std = landmark_statistics(arrays["lm3d"], arrays["valid"], train)
    features = _json(processed_dir / "audio_features" / "audio_features.json")
    sources = _json(processed_dir / "ingest" / STAGE_FILE)["fingerprint"]["sources"]
    return PersonManifest(
        video_id=config.video_id,
        num_frames=length,
        height=int(pose["height"]),
        width=int(pose["width"]),
        focal=float(pose["focal"]),
        cx=float(pose["cx"]),
        cy=float(pose["cy"]),
        segments=segments,
        train_ranges=train,
        test_ranges=test,
        speech_encoder=features["speech_encoder"],
        speech_dim=int(features["speech_dim"]),
        landmarker=config.landmarker,
        source_sha256=sources.get(f"{config.video_id}.mp4") or "",
        lm3d_mean=mean.tolist(),
        lm3d_std=std.tolist(),
    )


def landmark_statistics(
    lm3d: np.ndarray, valid: np.ndarray, train_ranges: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std [68,3] over the valid frames of the training part; std at least 1e-3.

    Raises:
        DataError: Fewer than two such frames.
    """
    is_train = np.zeros(len(lm3d), bool)
    for start, end in train_ranges:
        is_train[start:end] = True
    chosen = lm3d[is_train & valid].astype(np.float64)
    if len(chosen) < 2:
        raise DataError(
            f"only {len(chosen)} training frames show a face; use a longer video of one person facing the camera"
        )
    return chosen.mean(axis=0), np.maximum(chosen.std(axis=0), 1e-3)


def face_rects(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return head boxes x, y, w, h [T,4] i32 of landmarks [T,68,2] (specification 2.7)."""
    x_min, x_max = points[..., 0].min(axis=1), points[..., 0].max(axis=1)
    center_x, center_y = np.trunc((x_min + x_max) / 2), np.trunc(points[:, 27, 1])
    half_w = np.trunc((x_max - center_x) * 1.5)
    half_h = np.trunc((points[:, 8, 1] - center_y) * 1.15)
    x, y = np.maximum(0, center_x - half_w), np.maximum(0, center_y - half_h)
    w, h = np.minimum(width - 1 - x, 2 * half_w), np.minimum(height - 1 - y, 2 * half_h)
    return _inside(np.stack([x, y, w, h], axis=1), height, width)


def box_rects(points: np.ndarray, margin: float, height: int, width: int) -> np.ndarray:
    """Return the boxes x, y, w, h [T,4] i32 around points [T,K,2], grown by ``margin`` of their size, inside the
    picture."""
    low, high = points.min(axis=1), points.max(axis=1)
    grow = (high - low) * margin / 2
    low, high = np.floor(low - grow), np.ceil(high + grow)
    low = np.maximum(low, 0)
    high = np.minimum(high, (width, height))
    return _inside(np.concatenate([low, high - low], axis=1), height, width)


def _inside(rects: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return integer boxes of at least one pixel that lie in the picture."""
    x, y = np.clip(rects[:, 0], 0, width - 1), np.clip(rects[:, 1], 0, height - 1)
    w, h = np.clip(rects[:, 2], 1, width - x), np.clip(rects[:, 3], 1, height - y)
    return np.stack([x, y, w, h], axis=1).astype(np.int32)


def _copy_pictures(layers: Path, out_dir: Path, length: int) -> None:
    stored = len(PictureStore(layers / "frames.arrow"))
    if abs(stored - length) > _MAX_MISMATCH or stored < length:
        raise DataError(f"layers hold {stored} pictures for {length} frames; run --stage layers again")
    for name in ("frames.arrow", "bg.png"):
        try:
            os.link(layers / name, out_dir / name)  # one copy on disk; deleting either name leaves the other
        except OSError:
            shutil.copyfile(layers / name, out_dir / name)


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
