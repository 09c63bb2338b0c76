"""A drawn person: an ellipse for a head with eyes that blink and a mouth that opens, over a torso; a PersonStore."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from utils.data.atomic import save_npy
from utils.data.person_store import PersonManifest, PersonStore, split_ranges, write_manifest
from utils.data.picture_store import PictureWriter, encode_picture
from utils.geometry.cameras import Intrinsics, project

_SKIN, _SHIRT = (205, 160, 130), (60, 90, 150)


@dataclass(frozen=True)
class _Scene:
    """Everything of one frame."""

    gt: np.ndarray
    masks: np.ndarray
    torso: np.ndarray
    lm3d: np.ndarray
    lm2d: np.ndarray
    c2w: np.ndarray


def write_tiny_person(
    root: Path,
    *,
    num_frames: int = 40,
    size: int = 64,
    speech_dim: int = 8,
    segments: list[tuple[int, int]] | None = None,
) -> PersonStore:
    """Write a drawn person's dataset to ``root`` and open it."""
    root.mkdir(parents=True, exist_ok=True)
    camera = Intrinsics(focal=2.4 * size, cx=size / 2, cy=size / 2, height=size, width=size)
    rng = np.random.default_rng(7)
    background = _background(size)
    scenes = [_scene(t, camera, background) for t in range(num_frames)]
    _write_pictures(root, scenes, background)
    lm3d = np.stack([scene.lm3d for scene in scenes])
    lm2d = np.stack([scene.lm2d for scene in scenes])
    openness = lm3d[:, 62, 1] - lm3d[:, 66, 1]
    speech = rng.normal(0, 0.1, (2 * num_frames, speech_dim)) + np.repeat(openness, 2)[:, None]
    arrays = {
        "lm3d": lm3d.astype(np.float32),
        "lm2d": lm2d.astype(np.float32),
        "c2w": np.stack([scene.c2w for scene in scenes]).astype(np.float32),
        "speech": speech.astype(np.float16),
        "f0": np.full(2 * num_frames, 120, np.float32),
        "face_rect": _rects(lm2d, size, 3),
        "lip_rect": _rects(lm2d[:, 48:68], size, 2),
        "eye_rect": _rects(lm2d[:, 36:48], size, 2),
        "valid": np.ones(num_frames, bool),
    }
    for name, array in arrays.items():
        save_npy(root / f"{name}.npy", array)
    spans = segments or [(0, num_frames)]
    train, test = split_ranges(spans)
    frames = np.concatenate([np.arange(a, b) for a, b in train])
    manifest = PersonManifest(
        video_id=root.name,
        num_frames=num_frames,
        height=size,
        width=size,
        focal=camera.focal,
        cx=camera.cx,
        cy=camera.cy,
        segments=spans,
        train_ranges=train,
        test_ranges=test,
        speech_encoder="tiny",
        speech_dim=speech_dim,
        landmarker="drawn",
        lm3d_mean=lm3d[frames].mean(axis=0).tolist(),
        lm3d_std=lm3d[frames].std(axis=0).clip(1e-3).tolist(),
    )
    write_manifest(root, manifest)
    return PersonStore(root)


def _write_pictures(root: Path, scenes: list[_Scene], background: np.ndarray) -> None:
    (root / "bg.png").write_bytes(encode_picture(background, "png"))
    with PictureWriter(root / "frames.arrow", ["gt", "masks", "torso"]) as writer:
        for scene in scenes:
            writer.write(
                {
                    "gt": encode_picture(scene.gt, "jpeg"),
                    "masks": encode_picture(scene.masks, "png"),
                    "torso": encode_picture(scene.torso, "png"),
                }
            )


def _background(size: int) -> np.ndarray:
    ramp = np.linspace(90, 200, size)
    return np.stack(
        [np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), np.full((size, size), 170)], -1
    ).astype(np.uint8)


def _scene(t: int, camera: Intrinsics, background: np.ndarray) -> _Scene:
    size = camera.height
    yaw, shift = 0.08 * np.sin(t / 9), 0.004 * np.sin(t / 7)
    c2w = np.eye(4)
    c2w[:3, :3] = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    c2w[:3, 3] = c2w[:3, :3] @ [shift, -0.01, 0.7]
    lm3d = _landmarks(0.5 + 0.5 * np.sin(t * 0.9), 0.1 if t % 11 == 5 else 1.0)
    lm2d = project(lm3d / 100, c2w, camera)
    head, torso_alpha = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
    center = project(np.zeros(3), c2w, camera)
    axes = (0.075 * camera.focal / 0.7, 0.1 * camera.focal / 0.7)
    _ellipse(head, center, axes, 255)
    _ellipse(torso_alpha, center + np.array([0, 0.85 * axes[1] + 0.42 * size]), (0.42 * size, 0.42 * size), 255)
    torso = np.dstack([np.tile(np.uint8(_SHIRT), (size, size, 1)), torso_alpha])
    gt = background.copy()
    gt[torso_alpha > 0] = _SHIRT
    gt = _paint_face(gt, head, center, axes, lm2d)
    masks = np.stack([head, np.where(head > 0, 0, torso_alpha)], axis=-1)
    return _Scene(gt, masks, torso, lm3d, lm2d, c2w)


def _paint_face(
    gt: np.ndarray, head: np.ndarray, center: np.ndarray, axes: tuple[float, float], lm2d: np.ndarray
) -> np.ndarray:
    face = gt.copy()
    face[head > 0] = _SKIN
    hair = np.zeros_like(head)
    _ellipse(hair, center - np.array([0, 0.75 * axes[1]]), (0.95 * axes[0], 0.45 * axes[1]), 255)
    face[(hair > 0) & (head > 0)] = (50, 35, 25)
    for points, color in (
        (lm2d[48:60], (170, 70, 70)),
        (lm2d[60:68], (60, 15, 20)),
        (lm2d[36:42], 250),
        (lm2d[42:48], 250),
    ):
        color = color if isinstance(color, tuple) else (color,) * 3
        cv2.fillPoly(face, [np.round(points * 16).astype(np.int32)], color, cv2.LINE_AA, 4)
    return face


def _ellipse(image: np.ndarray, center: np.ndarray, axes: tuple[float, float], value: int) -> None:
    scaled = [tuple(round(16 * float(v)) for v in pair) for pair in (center, axes)]
    cv2.ellipse(image, scaled[0], scaled[1], 0, 0, 360, value, -1, cv2.LINE_AA, 4)


def _landmarks(openness: float, eyes: float) -> np.ndarray:
    """Return a schematic face [68,3] in cm: ``openness`` of the mouth and ``eyes`` in [0,1]."""
    points = np.zeros((68, 3))
    angle = np.linspace(np.pi, 2 * np.pi, 17)
    points[0:17] = np.stack([6.8 * np.cos(angle), 8.0 * np.sin(angle) - 0.5 * openness, 2 + 0 * angle], -1)
    for start, sign in ((17, -1), (22, 1)):
        xs = sign * np.linspace(5, 1.5, 5)[:: 1 if sign < 0 else -1]
        points[start : start + 5] = np.stack([xs, np.full(5, 4.2), np.full(5, 6.0)], -1)
    points[27:31] = np.stack([np.zeros(4), np.linspace(2.5, -0.5, 4), np.linspace(6.5, 8.5, 4)], -1)
    points[31:36] = np.stack([np.linspace(-1.2, 1.2, 5), np.full(5, -1.2), np.full(5, 7.0)], -1)
    for start, x in ((36, -3.0), (42, 3.0)):
        points[start : start + 6] = _ring(6, np.array([x, 2.6, 6.0]), 1.4, 0.6 * eyes)
    gap = 0.15 + 0.9 * openness
    points[48:60] = _ring(12, np.array([0, -3.6 - 0.2 * openness, 7.0]), 2.4, 0.8 + gap)
    points[60:68] = _ring(8, np.array([0, -3.6 - 0.2 * openness, 6.8]), 1.8, gap)
    return points


def _ring(number: int, center: np.ndarray, width: float, height: float) -> np.ndarray:
    angle = np.pi - np.arange(number) * 2 * np.pi / number
    return center + np.stack([width * np.cos(angle), height * np.sin(angle), 0 * angle], -1)


def _rects(points: np.ndarray, size: int, margin: int) -> np.ndarray:
    low = np.floor(points.min(axis=1)).astype(int) - margin
    high = np.ceil(points.max(axis=1)).astype(int) + margin
    low, high = low.clip(0, size - 1), high.clip(1, size)
    return np.concatenate([low, high - low], axis=1).astype(np.int32)
