"""Head poses for a video of any length, taken from the person's own clip."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraPath:
    """One pose a frame."""

    frames: np.ndarray
    """Frame of the clip each pose belongs to, [T]."""
    c2w: np.ndarray
    """[T,4,4] f32, metres, OpenGL."""


def camera_path(
    c2w: np.ndarray, segments: list[tuple[int, int]], num_frames: int, *, smooth_win: int = 7
) -> CameraPath:
    """Return ``num_frames`` poses that run forth and back over the clip's longest segment, never across a cut.

    Args:
        c2w: Poses of the clip, [N,4,4].
        segments: Half-open frame ranges without a cut inside.
        num_frames: Length of the path.
        smooth_win: Frames averaged in time; 1 = as tracked.
    """
    start, end = max(segments, key=lambda segment: segment[1] - segment[0])
    if num_frames > end - start:
        logger.info(
            "the speech has %d frames, the longest segment %d: head poses run forth and back", num_frames, end - start
        )
    offsets = ping_pong(end - start, num_frames)
    poses = smooth_poses(np.asarray(c2w[start:end]), smooth_win)
    return CameraPath(frames=start + offsets, c2w=poses[offsets].astype(np.float32))


def ping_pong(length: int, count: int) -> np.ndarray:
    """Return ``count`` numbers 0, 1, ..., length-1, length-2, ..., 1, 0, 1, ..."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    position = np.arange(count) % max(2 * (length - 1), 1)
    return np.where(position < length, position, 2 * (length - 1) - position)


def smooth_poses(c2w: np.ndarray, window: int) -> np.ndarray:
    """Return poses [N,4,4] averaged over ``window`` frames (odd), the ends mirrored as on the ping-pong path.

    Averaged are the head position in front of the camera and, by the chordal mean, its rotation. Averaging the camera's
    position around the head instead would move the head in the picture wherever rotation trembles.
    """
    if window <= 1 or len(c2w) < 2:
        return c2w
    half = window // 2
    rotation = c2w[:, :3, :3].transpose(0, 2, 1)
    position = -(rotation @ c2w[:, :3, 3:])
    index = np.abs(np.arange(-half, len(c2w) + half))
    index = ping_pong(len(c2w), int(index.max()) + 1)[index]
    windows = np.lib.stride_tricks.sliding_window_view(index, 2 * half + 1)
    mean_rotation = chordal_mean(rotation[windows])
    mean_position = position[windows].mean(axis=1)
    result = np.tile(np.eye(4), (len(c2w), 1, 1))
    result[:, :3, :3] = mean_rotation.transpose(0, 2, 1)
    result[:, :3, 3:] = -(mean_rotation.transpose(0, 2, 1) @ mean_position)
    return result.astype(c2w.dtype)


def chordal_mean(rotations: np.ndarray) -> np.ndarray:
    """Return the rotation nearest to the mean matrix of each group, [..., M,3,3] -> [...,3,3]."""
    u, _, vt = np.linalg.svd(rotations.mean(axis=-3))
    flip = np.ones((*u.shape[:-2], 3))
    flip[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * flip[..., None, :]) @ vt
