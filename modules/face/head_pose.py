"""Camera of every frame around a head that stands still, and landmarks freed from that motion.

One focal length serves the whole clip. It cannot be observed in talking heads (800-4000 px fit equally well), so it is
a fixed multiple of the picture height: 4 puts the camera at 1.2-1.6 m for the usual framing, as such videos are filmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from modules.face.landmarks68 import to_landmarks68
from modules.face.pose_solver import (
    SHIFT_FREE,
    SHIFT_XY_FREE,
    Poses,
    project_camera,
    refine_poses,
    refine_shape,
    reprojection_error,
)
from modules.face.rigid_shape import align, lift, mean_shape, similarity, spread_frames
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import c2w_from_world_to_camera, nearest_rotation, world_to_camera_from_c2w

FOCAL_FACTOR = 4.0
SMOOTHING_FRAMES = 1.0
_PRIOR_PX_PER_M_AT_512 = 100.0
_BUNDLE_ROUNDS = 8


@dataclass(frozen=True)
class HeadPose:
    """Solved motion of a clip."""

    c2w: np.ndarray
    """[T,4,4] f32, metres, OpenGL camera around the head at the origin."""
    lm3d: np.ndarray
    """[T,68,3] f32, centimetres in head coordinates, pose removed."""
    intrinsics: Intrinsics
    shape: np.ndarray
    """[478,3] the person's mean mesh in head coordinates, metres."""
    rigid_weights: np.ndarray
    """[478] how much each mesh point says about the pose."""
    reprojection_px: np.ndarray
    """[T] root mean square error of the rigid points, pixels."""
    expression: np.ndarray | None = None
    """[T,E] f32 weights of the morphable head's actions, where one was fitted."""
    identity: np.ndarray | None = None
    """[K] f32 of the morphable head, in standard deviations."""
    information: np.ndarray | None = None
    """[T,6,6] about each pose (turn applied after the rotation, shift in metres), where the tracker tells."""


def solve_head_pose(
    points: np.ndarray,
    valid: np.ndarray,
    size: tuple[int, int],
    segments: Sequence[tuple[int, int]],
    *,
    focal_factor: float = FOCAL_FACTOR,
    smoothing: float = SMOOTHING_FRAMES,
) -> HeadPose:
    """Return poses, pose-free landmarks and the person's shape of one clip.

    Args:
        points: MediaPipe mesh points in pixels, gaps filled, [T,478,3].
        valid: Frames in which a face was found, [T].
        size: Height and width of the frames.
        segments: Half-open frame ranges that smoothing must not cross; they cover the clip.
        focal_factor: Focal length in units of the height.
        smoothing: Width of the Gaussian over time on rotation and distance, frames; 0 for none.
    """
    height, width = size
    intrinsics = Intrinsics(focal_factor * height, width / 2, height / 2, height, width)
    meshes = lift(points, intrinsics)
    shape, weights = mean_shape(meshes, valid)
    start = initial_poses(meshes, shape, weights, intrinsics)
    shape = bundle_adjust(points, start, valid, shape, weights, intrinsics)
    rigid = np.flatnonzero(weights)
    pixels = np.asarray(points, np.float64)[:, rigid, :2]
    seen = (shape[rigid], pixels, weights[rigid], intrinsics)
    raw = smooth = refine_poses(start, *seen)
    for smoother, free in ((_smooth_rotation, SHIFT_FREE), (_smooth_depth, SHIFT_XY_FREE)):
        # What was smoothed alone no longer fits the picture: hold it and solve the rest again.
        smooth = refine_poses(smoother(smooth, segments, smoothing), *seen, iterations=4, free=free)
    return HeadPose(
        c2w=c2w_from_world_to_camera(smooth.rotation, smooth.translation).astype(np.float32),
        lm3d=free_landmarks(points, raw, shape, weights, intrinsics).astype(np.float32),
        intrinsics=intrinsics,
        shape=shape,
        rigid_weights=weights,
        reprojection_px=reprojection_error(smooth, *seen),
    )


def with_motion(pose: HeadPose, points: np.ndarray, motion: Poses) -> HeadPose:
    """Return ``pose`` with another motion of the head (refined and smoothed elsewhere); landmarks without pose stay.

    Args:
        pose: From :func:`solve_head_pose`.
        points: Mesh points in pixels, [T,478,3].
        motion: World to camera.
    """
    rigid = np.flatnonzero(pose.rigid_weights)
    pixels = np.asarray(points, np.float64)[:, rigid, :2]
    error = reprojection_error(motion, pose.shape[rigid], pixels, pose.rigid_weights[rigid], pose.intrinsics)
    c2w = c2w_from_world_to_camera(motion.rotation, motion.translation).astype(np.float32)
    return replace(pose, c2w=c2w, reprojection_px=error)


def initial_poses(meshes: np.ndarray, shape: np.ndarray, weights: np.ndarray, intrinsics: Intrinsics) -> Poses:
    """Return poses by similarity alignment of the shape to every frame's lifted mesh [T,478,3]."""
    scale, rotation, shift = similarity(np.broadcast_to(shape, meshes.shape), meshes, weights)
    return Poses(rotation, (shift - [0.0, 0.0, intrinsics.focal]) / scale[:, None])


def bundle_adjust(
    points: np.ndarray,
    start: Poses,
    valid: np.ndarray,
    shape: np.ndarray,
    weights: np.ndarray,
    intrinsics: Intrinsics,
) -> np.ndarray:
    """Return the shape [478,3] refined together with the poses of a few hundred frames, scale and placement kept."""
    frames = spread_frames(valid)
    rigid = np.flatnonzero(weights)
    pixels = np.asarray(points, np.float64)[frames][..., :2]
    prior, strength = shape, _PRIOR_PX_PER_M_AT_512 * intrinsics.height / 512
    poses = start.take(frames)
    for _ in range(_BUNDLE_ROUNDS):
        poses = refine_poses(poses, shape[rigid], pixels[:, rigid], weights[rigid], intrinsics, iterations=3)
        shape = refine_shape(shape, poses, pixels, intrinsics, prior=prior, prior_px_per_m=strength)
        shape = align(shape[None], prior, weights)[0]
    return shape


def smooth_in_segments(values: np.ndarray, segments: Sequence[tuple[int, int]], sigma: float) -> np.ndarray:
    """Return ``values`` [T,...] averaged over time by a Gaussian inside each half-open segment."""
    smooth = np.asarray(values, np.float64).copy()
    if sigma > 0:
        for start, end in segments:
            smooth[start:end] = gaussian_filter1d(smooth[start:end], sigma, axis=0, mode="nearest")
    return smooth


def _smooth_rotation(poses: Poses, segments: Sequence[tuple[int, int]], sigma: float) -> Poses:
    return Poses(nearest_rotation(smooth_in_segments(poses.rotation, segments, sigma)), poses.translation)


def _smooth_depth(poses: Poses, segments: Sequence[tuple[int, int]], sigma: float) -> Poses:
    translation = poses.translation.copy()
    translation[:, 2] = smooth_in_segments(translation[:, 2], segments, sigma)
    return Poses(poses.rotation, translation)


def free_landmarks(
    points: np.ndarray, poses: Poses, shape: np.ndarray, weights: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray:
    """Return the 68 landmarks [T,68,3] in centimetres of head coordinates.

    Each lies on the ray through its pixel, at the depth of the mean shape plus the deviation that MediaPipe reports; so
    it projects exactly onto the picture with the pose given here.
    """
    aligned = align(lift(points, intrinsics), shape, weights)
    depth_shape = shape + (aligned - np.median(aligned, axis=0)) * np.array([0.0, 0.0, 1.0])
    depth = -to_landmarks68(poses.camera_points(depth_shape))[..., 2]
    pixels = to_landmarks68(np.asarray(points, np.float64))[..., :2]
    x = (pixels[..., 0] - intrinsics.cx) / intrinsics.focal * depth
    y = -(pixels[..., 1] - intrinsics.cy) / intrinsics.focal * depth
    camera = np.stack([x, y, -depth], axis=-1) - poses.translation[:, None]
    return 100.0 * camera @ poses.rotation


def project_lm3d(lm3d: np.ndarray, c2w: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Return pixels [T,N,2] of landmarks [T,N,3] in centimetres seen by the cameras [T,4,4]."""
    return project_camera(Poses(*world_to_camera_from_c2w(c2w)).camera_points(np.asarray(lm3d) / 100.0), intrinsics)
