"""Poses smoothed over time as far as they are uncertain: what a picture shows well is kept, the rest is calmed.

Each frame says where the head is with some information (a 6x6 inverse covariance); motion is believed to have small
accelerations. The most probable trajectory is the solution of one banded linear system for each segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from modules.face.pose_solver import Poses
from utils.geometry.rotations import matrix_from_vector, mean_rotation, vector_from_matrix

_ACCELERATION = np.array([1.0, -2.0, 1.0])
_MIN_FRAMES = 5


def smooth_poses(poses: Poses, information: np.ndarray, segments: Sequence[tuple[int, int]]) -> Poses:
    """Return the most probable motion; segments do not touch each other.

    Args:
        poses: As measured, noise included.
        information: Of every pose, up to one common factor, [T,6,6] (turn applied after the rotation, shift).
        segments: Half-open frame ranges that cover the clip.
    """
    middle = mean_rotation(poses.rotation)
    path = np.concatenate([vector_from_matrix(poses.rotation @ middle.T), poses.translation], axis=1)
    ranges = [(a, b) for a, b in segments if b - a >= _MIN_FRAMES]
    if not ranges:
        return poses
    motion, noise = _accelerations(path, ranges)
    predicted = np.median(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2), axis=0)
    information = information * np.exp(np.mean(np.log(predicted / noise)))
    smooth = path.copy()
    for start, end in ranges:
        smooth[start:end] = _most_probable(path[start:end], information[start:end], 1 / motion)
    return Poses(matrix_from_vector(smooth[:, :3]) @ middle, smooth[:, 3:])


def _accelerations(path: np.ndarray, ranges: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of true second differences and of the measurement's noise, [6] each.

    A light blur keeps the motion of heads and loses most of the noise; what it takes away is counted as noise.
    """
    raw, calm = [], []
    for start, end in ranges:
        part = path[start:end]
        raw.append(np.diff(part, 2, axis=0))
        calm.append(np.diff(gaussian_filter1d(part, 1.0, axis=0, mode="nearest"), 2, axis=0))
    raw_variance, motion = (np.mean(np.concatenate(parts) ** 2, axis=0) for parts in (raw, calm))
    noise = np.maximum(raw_variance - motion, 0.1 * raw_variance) / (_ACCELERATION**2).sum()
    return np.maximum(motion, 1e-14), np.maximum(noise, 1e-16)


def _most_probable(path: np.ndarray, information: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """Return the path [n,6] that balances information [n,6,6] of each frame and stiffness [6] against accelerations."""
    count = len(path)
    bands = np.zeros((18, 6 * count))  # lower form of a symmetric matrix: bands[k, j] = matrix[j + k, j]
    frames = 6 * np.arange(count)
    for i in range(6):
        for j in range(i + 1):
            bands[i - j, frames + j] += information[:, i, j]
    for a in range(3):
        for b in range(a + 1):
            for i in range(6):
                at = frames[: count - 2] + 6 * b + i
                bands[6 * (a - b), at] += _ACCELERATION[a] * _ACCELERATION[b] * stiffness[i]
    right = np.einsum("tij,tj->ti", information, path).ravel()
    smooth: np.ndarray = solveh_banded(bands, right, lower=True).reshape(count, 6)
    return smooth
