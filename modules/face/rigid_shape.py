"""A person's mean face without pose: alignment of MediaPipe's meshes, and the points that move as one.

Head coordinates: metres, x to the image right, y up, z towards the viewer; the origin lies between the temples, about
the middle of the whole head. The scale is a convention: the outer eye corners are 9 cm apart.
"""

from __future__ import annotations

import numpy as np

from modules.face.landmarks68 import EYE_CORNERS, FACE_OVAL, LEFT_EYE, RIGHT_EYE, SUBNASALE
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import nearest_rotation

EYE_CORNER_DISTANCE_M = 0.09
_TEMPLES = (127, 356)
_IRISES = slice(468, 478)
_MAX_FRAMES = 400


def lift(points: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Return MediaPipe points [...,3] as a true shape in pixels of the head's distance: y up, z to the viewer.

    MediaPipe reports where a point is seen and its depth on the same scale. What is nearer is seen larger; a camera of
    this focal length stands ``focal`` such pixels away, which tells how much.
    """
    points = np.asarray(points, np.float64)
    nearness = 1.0 + points[..., 2] / intrinsics.focal
    x = (points[..., 0] - intrinsics.cx) * nearness
    y = -(points[..., 1] - intrinsics.cy) * nearness
    return np.stack([x, y, -points[..., 2]], axis=-1)


def similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scale [T], rotation [T,3,3], shift [T,3] with scale * source @ rotation.T + shift nearest to ``target``.

    Args:
        source: Points, [T,N,3].
        target: Points, [N,3] or [T,N,3].
        weights: Of the points, [N].
    """
    share = weights / weights.sum()
    target = np.broadcast_to(target, source.shape)
    source_mean, target_mean = (np.einsum("n,tnc->tc", share, x) for x in (source, target))
    a, b = source - source_mean[:, None], target - target_mean[:, None]
    rotation = nearest_rotation(np.einsum("n,tni,tnj->tij", share, b, a))
    scale = np.einsum("n,tni,tij,tnj->t", share, b, rotation, a) / np.einsum("n,tni,tni->t", share, a, a)
    shift = target_mean - scale[:, None] * np.einsum("tij,tj->ti", rotation, source_mean)
    return scale, rotation, shift


def align(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``source`` [T,N,3] moved, turned and scaled onto ``target``."""
    scale, rotation, shift = similarity(source, target, weights)
    return scale[:, None, None] * np.einsum("tij,tnj->tni", rotation, source) + shift[:, None]


def spread_frames(valid: np.ndarray, count: int = _MAX_FRAMES) -> np.ndarray:
    """Return up to ``count`` valid frame numbers, spread evenly over the clip."""
    frames = np.flatnonzero(valid)
    return frames[np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))]


def mean_shape(meshes: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pose-free mean mesh [478,3] in head coordinates and weights [478] of the points that move as one.

    Args:
        meshes: From :func:`lift`, [T,478,3].
        valid: Frames in which they were found, [T].
    """
    meshes = meshes[spread_frames(valid)]
    weights = np.ones(meshes.shape[1])
    shape = meshes[0] - meshes[0].mean(axis=0)
    for _ in range(6):
        aligned = align(meshes, shape, weights)
        shape = np.median(aligned, axis=0)
        shape = to_head_coordinates(shape)
        weights = rigid_weights(shape, align(meshes, shape, weights))
    return shape, weights


def to_head_coordinates(shape: np.ndarray) -> np.ndarray:
    """Return a mesh [478,3] upright, centred between the temples, its outer eye corners 9 cm apart.

    The eye line is the x axis; the face looks along z, which is normal to the plane nearest to the oval of the face.
    """
    left, right = shape[list(EYE_CORNERS)]
    x = (right - left) / np.linalg.norm(right - left)
    oval = shape[FACE_OVAL]
    normal = np.linalg.svd(oval - oval.mean(axis=0))[2][2]
    z = normal - (normal @ x) * x
    z *= np.sign(z[2]) / np.linalg.norm(z)
    axes = np.stack([x, np.cross(z, x), z])
    turned = shape @ axes.T
    turned -= turned[list(_TEMPLES)].mean(axis=0)
    return turned * (EYE_CORNER_DISTANCE_M / np.linalg.norm(right - left))


def rigid_weights(shape: np.ndarray, aligned: np.ndarray) -> np.ndarray:
    """Return weights [478]: zero below the nose, at eyelids and irises, elsewhere falling with the points' variance.

    Args:
        shape: The mean mesh, [478,3].
        aligned: Meshes of several frames aligned to it, [T,478,3].
    """
    variance = ((aligned - shape) ** 2).sum(axis=-1).mean(axis=0)
    floor = (0.01 * EYE_CORNER_DISTANCE_M) ** 2
    weights = floor / (floor + variance)
    weights[shape[:, 1] < shape[SUBNASALE, 1]] = 0.0
    weights[_IRISES] = 0.0
    for eye in (LEFT_EYE, RIGHT_EYE):
        weights[_lid_points(shape, eye)] = 0.0
    weights[[LEFT_EYE[0], RIGHT_EYE[0], LEFT_EYE[8], RIGHT_EYE[8]]] = 0.5  # the corners keep still
    return weights


def _lid_points(shape: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Return the mesh points inside an ellipse around the eye that holds the lids."""
    corners = shape[eye][[0, 8], :2]
    middle, half_width = corners.mean(axis=0), 0.5 * np.linalg.norm(corners[1] - corners[0])
    offset = (shape[:, :2] - middle) / (half_width * np.array([1.05, 0.65]))
    return np.flatnonzero((offset**2).sum(axis=1) < 1.0)
