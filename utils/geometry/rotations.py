"""Rotations as matrices [...,3,3] and rotation vectors [...,3] (axis times angle in radians)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def matrix_from_vector(vector: np.ndarray) -> np.ndarray:
    """Return the matrices [...,3,3] that turn by the rotation vectors [...,3]."""
    flat = np.asarray(vector, np.float64).reshape(-1, 3)
    return Rotation.from_rotvec(flat).as_matrix().reshape(*vector.shape, 3)


def vector_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation vectors [...,3] of matrices [...,3,3]."""
    flat = np.asarray(matrix, np.float64).reshape(-1, 3, 3)
    return Rotation.from_matrix(flat).as_rotvec().reshape(matrix.shape[:-1])


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angle in degrees [...] that separates rotations [...,3,3]."""
    relative = np.asarray(a, np.float64) @ np.swapaxes(np.asarray(b, np.float64), -1, -2)
    return np.degrees(np.linalg.norm(vector_from_matrix(relative), axis=-1))


def mean_rotation(matrices: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the rotation [3,3] nearest to ``matrices`` [N,3,3] in the chordal sense."""
    return nearest_rotation(np.average(np.asarray(matrices, np.float64), axis=0, weights=weights))


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Return the proper rotation [...,3,3] nearest to ``matrix`` [...,3,3]."""
    u, _, vt = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(u @ vt))
    u[..., :, 2] *= sign[..., None]
    rotation: np.ndarray = u @ vt
    return rotation


def c2w_from_world_to_camera(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Return c2w [...,4,4] of cameras that map x to ``rotation`` x + ``translation``."""
    c2w = np.zeros((*rotation.shape[:-2], 4, 4))
    c2w[..., :3, :3] = np.swapaxes(rotation, -1, -2)
    c2w[..., :3, 3] = -np.einsum("...ji,...j->...i", rotation, translation)
    c2w[..., 3, 3] = 1.0
    return c2w


def world_to_camera_from_c2w(c2w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rotation [...,3,3] and translation [...,3] that map head to camera coordinates."""
    rotation = np.swapaxes(np.asarray(c2w, np.float64)[..., :3, :3], -1, -2)
    return rotation, -np.einsum("...ij,...j->...i", rotation, np.asarray(c2w, np.float64)[..., :3, 3])
