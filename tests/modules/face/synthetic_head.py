"""A head without a network: a curved mesh of 478 points, its true motion and what a landmarker would report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modules.face.landmarks68 import (
    CHIN,
    EYE_CORNERS,
    FACE_OVAL,
    FOREHEAD,
    JAW_LINE,
    LEFT_EYE,
    NOSE_TIP,
    RIGHT_EYE,
    SUBNASALE,
)
from modules.face.pose_solver import Poses, project_camera
from modules.face.rigid_shape import to_head_coordinates
from modules.face.tracker.fit import mediapipe_head
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import matrix_from_vector

SkinMotion = Callable[[np.ndarray], np.ndarray]
SIZE = 256
CAMERA = Intrinsics(4.0 * SIZE, SIZE / 2, SIZE / 2, SIZE, SIZE)


@dataclass
class Footage:
    """Truth and observation."""

    shape: np.ndarray
    poses: Poses
    points: np.ndarray
    """[T,478,3] as MediaPipe reports them: x, y in pixels, z on the same scale, negative towards the viewer."""


def head_shape() -> np.ndarray:
    """Return a mesh [478,3] in metres: an ellipsoid with a nose, named vertices where a face has them."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(-1, 1, (478, 2)) * [0.062, 0.085]
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    xy[FACE_OVAL] = np.column_stack([0.07 * np.sin(angle), 0.095 * np.cos(angle)])
    for eye, side in ((LEFT_EYE, -1), (RIGHT_EYE, 1)):
        turn = np.linspace(0, 2 * np.pi, len(eye), endpoint=False)
        xy[eye] = np.column_stack([side * (0.031 + 0.014 * np.cos(turn)), 0.02 + 0.006 * np.sin(turn)])
    xy[[EYE_CORNERS[0], EYE_CORNERS[1]]] = [[-0.045, 0.02], [0.045, 0.02]]
    xy[[NOSE_TIP, SUBNASALE]] = [[0, -0.018], [0, -0.032]]
    z = 0.09 * np.sqrt(np.clip(1 - (xy[:, 0] / 0.085) ** 2 - (xy[:, 1] / 0.12) ** 2, 0, 1))
    z += 0.022 * np.exp(-((xy[:, 0] / 0.012) ** 2) - ((xy[:, 1] + 0.018) / 0.022) ** 2)
    return np.column_stack([xy, z])


def head_motion(num_frames: int) -> Poses:
    """Return smooth turning and swaying before a camera at 1.4 m."""
    t = np.arange(num_frames) / 25
    turn = np.column_stack([0.10 * np.sin(1.7 * t), 0.16 * np.sin(2.3 * t + 1), 0.06 * np.sin(1.1 * t)])
    shift = np.column_stack([0.01 * np.sin(1.3 * t), 0.008 * np.cos(1.9 * t), -1.4 + 0.02 * np.sin(0.9 * t)])
    return Poses(matrix_from_vector(turn), shift)


def observe(shape: np.ndarray, poses: Poses, noise_px: float = 0.0) -> np.ndarray:
    """Return mesh points [T,478,3] of a shape [478,3] or [T,478,3] as a landmarker reports them."""
    camera = poses.camera_points(shape)
    pixels = project_camera(camera, CAMERA)
    scale = CAMERA.focal / -poses.translation[:, 2]
    depth = -(camera[..., 2] - poses.translation[:, None, 2]) * scale[:, None]
    points = np.concatenate([pixels, depth[..., None]], axis=-1)
    return points + noise_px * np.random.default_rng(1).standard_normal(points.shape)


def footage(num_frames: int = 60, noise_px: float = 0.0) -> Footage:
    """Return a still face in a moving head."""
    shape, poses = head_shape(), head_motion(num_frames)
    return Footage(shape, poses, observe(shape, poses, noise_px))


def paint_face(poses: Poses, shape: np.ndarray, frame: int, moved: SkinMotion | None = None) -> np.ndarray:
    """Return an RGB picture [SIZE,SIZE,3] of a face whose skin carries a fixed pattern of blotches.

    ``moved`` tells of places (x, y) [...,2] how far, in metres, the skin seen there has moved from where it rests.
    """
    columns, rows = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    rays = np.stack([(columns - CAMERA.cx) / CAMERA.focal, -(rows - CAMERA.cy) / CAMERA.focal, -np.ones_like(rows)], -1)
    origin = -poses.rotation[frame].T @ poses.translation[frame]
    directions = rays @ poses.rotation[frame]
    depth = -poses.translation[frame, 2] - 0.06 * np.ones_like(rows)
    for _ in range(8):  # walk along the ray to the surface z(x, y)
        point = origin + depth[..., None] * directions
        depth += (point[..., 2] - surface_depth(point[..., 0], point[..., 1])) / -directions[..., 2]
    point = origin + depth[..., None] * directions
    x, y = point[..., 0], point[..., 1]
    inside = (x / 0.075) ** 2 + (y / 0.1) ** 2 < 1
    if moved is not None:
        x, y = np.moveaxis(point[..., :2] - moved(point[..., :2]), -1, 0)
    pattern = sum(
        np.sin(a * x + b * y + c) for a, b, c in ((420, 130, 0), (-230, 390, 1), (610, -340, 2), (90, 700, 4))
    )
    gray = np.where(inside, 128 + 22 * pattern, 40)
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def surface_depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the height of the smooth head over the plane z = 0."""
    return 0.09 * np.sqrt(np.clip(1 - (x / 0.085) ** 2 - (y / 0.12) ** 2, 0, 1))


def smooth_head_shape() -> np.ndarray:
    """Return :func:`head_shape` without the nose, as :func:`paint_face` draws it."""
    shape = head_shape()
    shape[:, 2] = surface_depth(shape[:, 0], shape[:, 1])
    return shape


def open_head_shape() -> np.ndarray:
    """Return the open head's mean mesh [478,3] in head coordinates, pressed onto the surface that is painted."""
    shape = to_head_coordinates(mediapipe_head().mean.astype(np.float64))
    shape[:, 2] = surface_depth(shape[:, 0], shape[:, 1])
    return shape


__all__ = [
    "CAMERA",
    "CHIN",
    "FOREHEAD",
    "JAW_LINE",
    "SIZE",
    "Footage",
    "footage",
    "head_motion",
    "head_shape",
    "observe",
    "open_head_shape",
]
