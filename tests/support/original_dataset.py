"""A ``trainval_dataset.npy`` as the original writes it, of a small invented person: a pickled dict in an object array.

Only tests pickle: to have something that must be read without unpickling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.rotations import matrix_from_vector


def sample(number: int, rng: np.random.Generator, *, size: int, generation: str) -> dict[str, Any]:
    """Return one frame of generation ``v1`` (1.0.0) or ``head`` (later)."""
    lm3d = rng.normal(0.1, 0.3, (68, 3)).astype(np.float32)
    c2w = np.eye(4)
    c2w[:3, :3] = matrix_from_vector(np.array([0.02 * np.sin(number), 0.1 * np.sin(number / 3), 0.01]))
    c2w[:3, 3] = c2w[:3, :3] @ [0.01, -0.02, 0.7]
    folder = "data/processed/videos/May"
    common = {
        "idx": number,
        "face_rect": np.array([size // 4, size // 4, size // 2, size // 2]),
        "ori_img_fname": f"{folder}/ori_imgs/{number}.jpg",
        "head_img_fname": f"{folder}/head_imgs/{number}.jpg",
        "parsing_fname": f"{folder}/parsing/{number}.png",
        "c2w": c2w,
        "euler": np.zeros(3),
        "trans": c2w[:3, 3],
        "exp": rng.normal(size=64).astype(np.float32),
        "identity": rng.normal(size=80).astype(np.float32),
        "pose_deep3drecon": np.zeros(7),
        "idexp_lm3d": lm3d,
    }
    if generation == "v1":
        return common | {"com_img_fname": f"{folder}/com_imgs/{number}.jpg"}
    return common | {
        "gt_img_fname": f"{folder}/gt_imgs/{number}.jpg",
        "torso_img_fname": f"{folder}/torso_imgs/{number}.png",
    }


def dataset(*, num_frames: int = 22, size: int = 16, generation: str = "v1", channels: int = 1024) -> dict[str, Any]:
    """Return the dict the original pickles."""
    rng = np.random.default_rng(3)
    samples = [sample(number, rng, size=size, generation=generation) for number in range(num_frames)]
    lm3d = np.stack([one["idexp_lm3d"] for one in samples])
    mean, std = lm3d.mean(axis=0, keepdims=True), lm3d.std(axis=0, keepdims=True)
    rows = np.pad(rng.normal(size=(2 * num_frames, 29)), ((8, 8), (0, 0)))
    windows = np.stack([rows[2 * t : 2 * t + 16] for t in range(num_frames)])
    for t, one in enumerate(samples):
        one["idexp_lm3d_normalized"] = ((one["idexp_lm3d"] - mean[0]) / std[0]).astype(np.float32)
        one["idexp_lm3d_normalized_win"] = one["idexp_lm3d_normalized"][None]
        one["deepspeech_win"] = windows[t]
        one["deepspeech_wins"] = windows[np.clip(np.arange(t - 4, t + 4), 0, num_frames - 1)]
        if generation == "v1":
            one["hubert_win"] = np.zeros((16, channels), np.float32)
    split = num_frames * 10 // 11
    mel = rng.normal(size=(2 * num_frames, 80)).astype(np.float32)
    content: dict[str, Any] = {
        "train_samples": samples[:split],
        "val_samples": samples[split:],
        "H": size,
        "W": size,
        "focal": 2.2 * size,
        "cx": size / 2,
        "cy": size / 2,
        "hubert": rng.normal(size=(2 * num_frames, channels)).astype(np.float32),
        "idexp_lm3d_mean": mean.astype(np.float32),
        "idexp_lm3d_std": std.astype(np.float32),
    }
    picture = rng.integers(0, 255, (size, size, 3)).astype(np.uint8)
    if generation == "v1":
        boxed = np.empty((), object)
        boxed[()] = {"mel": mel, "energy": mel[:, :1]}
        return content | {"near": np.float64(0.5), "far": np.float64(0.9), "bc_img": picture, "mel": boxed}
    return content | {"bg_img": picture, "mel": mel, "f0": np.full(2 * num_frames, 120.0)}


def write_dataset(path: Path, content: Any) -> Path:
    """Write any object as the original does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boxed = np.empty((), object)
    boxed[()] = content
    np.save(path, boxed, allow_pickle=True)
    return path
