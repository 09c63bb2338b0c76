"""Poses of a rigid shape in many frames at once: robust Gauss-Newton over reprojection, shape and poses in turn.

Notation: a point x in head coordinates is seen at R x + t in camera coordinates (OpenGL: the camera looks down -z).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import matrix_from_vector

_HUBER_PX_AT_512 = 1.5
_CHUNK_FRAMES = 256
ALL_FREE, SHIFT_FREE, SHIFT_XY_FREE = slice(0, 6), slice(3, 6), slice(3, 5)


@dataclass
class Poses:
    """World-to-camera motion of every frame: rotation [T,3,3], translation [T,3]."""

    rotation: np.ndarray
    translation: np.ndarray

    def camera_points(self, shape: np.ndarray) -> np.ndarray:
        """Return ``shape`` [N,3] or [T,N,3] in camera coordinates, [T,N,3]."""
        points = np.broadcast_to(shape, (len(self.rotation), *shape.shape[-2:]))
        return points @ np.swapaxes(self.rotation, 1, 2) + self.translation[:, None]

    def take(self, frames: np.ndarray) -> Poses:
        """Return the poses of some frames."""
        return Poses(self.rotation[frames], self.translation[frames])


def project_camera(camera: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Return pixels [...,2] of points [...,3] in camera coordinates."""
    depth = -camera[..., 2]
    x = intrinsics.cx + intrinsics.focal * camera[..., 0] / depth
    y = intrinsics.cy - intrinsics.focal * camera[..., 1] / depth
    return np.stack([x, y], axis=-1)


def point_jacobian(camera: np.ndarray, focal: float) -> np.ndarray:
    """Return the derivative [...,2,3] of the pixel by the point in camera coordinates [...,3]."""
    depth = -camera[..., 2]
    jacobian = np.zeros((*camera.shape[:-1], 2, 3))
    jacobian[..., 0, 0] = focal / depth
    jacobian[..., 0, 2] = focal * camera[..., 0] / depth**2
    jacobian[..., 1, 1] = -focal / depth
    jacobian[..., 1, 2] = -focal * camera[..., 1] / depth**2
    return jacobian


def pose_jacobian(camera: np.ndarray, turned: np.ndarray, focal: float) -> np.ndarray:
    """Return the derivative [...,2,6] of the pixel by a small turn (applied after R) and a shift of the pose.

    Args:
        camera: R x + t, [...,3].
        turned: R x, [...,3].
        focal: In pixels.
    """
    x, y, z = np.moveaxis(turned, -1, 0)
    jacobian = np.zeros((*camera.shape[:-1], 2, 6))
    by_point = point_jacobian(camera, focal)
    bx, by, bz = np.moveaxis(by_point, -1, 0)
    x, y, z = x[..., None], y[..., None], z[..., None]
    jacobian[..., 0] = bz * y - by * z  # a turn about the x axis moves the point by (0, -z, y)
    jacobian[..., 1] = bx * z - bz * x
    jacobian[..., 2] = by * x - bx * y
    jacobian[..., 3:] = by_point
    return jacobian


def gradient_by_point(gradient: np.ndarray, camera: np.ndarray, focal: float) -> np.ndarray:
    """Return the derivative [3,N] of what a picture shows by the points [N,3] in camera coordinates.

    Args:
        gradient: Of the picture, by column and row, at the points' pixels, [2,N].
        camera: R x + t, [N,3].
        focal: In pixels.
    """
    x, y, z = camera.T
    across, up = gradient * (focal / -z)
    return np.stack([across, -up, (across * x - up * y) / -z])


def gradient_by_pose(by_point: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Return the derivative [6,N] by a small turn (applied after R) and a shift, of that by the points [3,N].

    Args:
        by_point: From :func:`gradient_by_point`.
        turned: R x, [N,3].
    """
    x, y, z = turned.T
    gx, gy, gz = by_point
    return np.stack([y * gz - z * gy, z * gx - x * gz, x * gy - y * gx, gx, gy, gz])


def refine_poses(
    poses: Poses,
    shape: np.ndarray,
    pixels: np.ndarray,
    weights: np.ndarray,
    intrinsics: Intrinsics,
    *,
    iterations: int = 8,
    free: slice = ALL_FREE,
) -> Poses:
    """Return the poses with the least robust reprojection error.

    Args:
        poses: Start.
        shape: Points in head coordinates, [N,3] or [T,N,3], metres.
        pixels: Where they were seen, [T,N,2].
        weights: Of the points, [N].
        intrinsics: The camera.
        iterations: Gauss-Newton steps.
        free: Which of the six parameters (turn about x, y, z; shift along x, y, z) may change.
    """
    parts = []
    for start in range(0, len(pixels), _CHUNK_FRAMES):
        chunk = np.arange(start, min(start + _CHUNK_FRAMES, len(pixels)))
        part_shape = shape[chunk] if shape.ndim == 3 else shape
        parts.append(_gauss_newton(poses.take(chunk), part_shape, pixels[chunk], weights, intrinsics, iterations, free))
    return Poses(np.concatenate([p.rotation for p in parts]), np.concatenate([p.translation for p in parts]))


def _gauss_newton(
    poses: Poses,
    shape: np.ndarray,
    pixels: np.ndarray,
    weights: np.ndarray,
    intrinsics: Intrinsics,
    iterations: int,
    free: slice,
) -> Poses:
    huber = _HUBER_PX_AT_512 * intrinsics.height / 512
    rotation, translation = poses.rotation, poses.translation
    for _ in range(iterations):
        camera = Poses(rotation, translation).camera_points(shape)
        residual = pixels - project_camera(camera, intrinsics)
        robust = weights / np.maximum(1.0, np.linalg.norm(residual, axis=-1) / huber)
        jacobian = pose_jacobian(camera, camera - translation[:, None], intrinsics.focal)[..., free]
        rows = jacobian.reshape(len(camera), -1, jacobian.shape[-1])
        weighted = np.swapaxes(rows * np.repeat(robust, 2, axis=1)[..., None], 1, 2)
        step = np.zeros((len(camera), 6))
        step[:, free] = np.linalg.solve(weighted @ rows, weighted @ residual.reshape(len(camera), -1, 1))[..., 0]
        rotation = matrix_from_vector(step[:, :3]) @ rotation
        translation = translation + step[:, 3:]
    return Poses(rotation, translation)


def refine_shape(
    shape: np.ndarray,
    poses: Poses,
    pixels: np.ndarray,
    intrinsics: Intrinsics,
    *,
    prior: np.ndarray,
    prior_px_per_m: float,
) -> np.ndarray:
    """Return every point of the shape where its rays meet best, held near ``prior``.

    Args:
        shape: Points in head coordinates, [N,3].
        poses: Of the frames.
        pixels: Where the points were seen, [T,N,2].
        intrinsics: The camera.
        prior: Points believed before seeing the rays, [N,3].
        prior_px_per_m: Strength of that belief: this many pixels of mean error are as bad as one metre off the prior.
    """
    camera = poses.camera_points(shape)
    residual = pixels - project_camera(camera, intrinsics)
    jacobian = point_jacobian(camera, intrinsics.focal) @ poses.rotation[:, None]
    belief = len(camera) * prior_px_per_m**2
    normal = np.einsum("tnki,tnkj->nij", jacobian, jacobian) + belief * np.eye(3)
    right = np.einsum("tnki,tnk->ni", jacobian, residual) + belief * (prior - shape)
    moved: np.ndarray = shape + np.linalg.solve(normal, right[..., None])[..., 0]
    return moved


def reprojection_error(
    poses: Poses, shape: np.ndarray, pixels: np.ndarray, weights: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray:
    """Return the weighted root mean square distance in pixels between seen and projected points, [T]."""
    residual = pixels - project_camera(poses.camera_points(shape), intrinsics)
    error: np.ndarray = np.sqrt((weights * (residual**2).sum(axis=-1)).sum(axis=1) / weights.sum())
    return error
