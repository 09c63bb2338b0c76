"""Head poses for any length, out of one segment."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from inference.camera_path import camera_path, chordal_mean, ping_pong, smooth_poses


def poses(angles: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Return c2w of heads turned by ``angles`` [N] about y at ``head`` [N,3] in front of the camera."""
    c2w = np.tile(np.eye(4), (len(angles), 1, 1))
    rotation = Rotation.from_euler("y", angles[:, None], degrees=True).as_matrix()
    c2w[:, :3, :3] = rotation.transpose(0, 2, 1)
    c2w[:, :3, 3] = -(rotation.transpose(0, 2, 1) @ head[..., None])[..., 0]
    return c2w.astype(np.float32)


@given(length=st.integers(1, 20), count=st.integers(0, 100))
def test_ping_pong_never_jumps_and_stays_inside(length: int, count: int) -> None:
    index = ping_pong(length, count)
    assert len(index) == count
    assert ((index >= 0) & (index < length)).all()
    assert set(np.abs(np.diff(index))) <= ({1} if length > 1 else {0})


def test_path_stays_in_the_longest_segment_and_says_once_that_it_loops(caplog: pytest.LogCaptureFixture) -> None:
    angles = np.concatenate([np.linspace(-5, 5, 30), np.linspace(40, 50, 50)])
    clip = poses(angles, np.tile([0.0, 0.0, -0.7], (80, 1)))
    with caplog.at_level(logging.INFO, logger="inference.camera_path"):
        path = camera_path(clip, [(0, 30), (30, 80)], 170, smooth_win=5)
    assert len(caplog.records) == 1
    assert path.frames.min() == 30
    assert path.frames.max() == 79
    yaw = Rotation.from_matrix(path.c2w[:, :3, :3].transpose(0, 2, 1)).as_euler("yxz", degrees=True)[:, 0]
    assert yaw.min() > 39.9
    assert np.abs(np.diff(yaw)).max() < 0.3
    caplog.clear()
    camera_path(clip, [(0, 30), (30, 80)], 50)
    assert not caplog.records


def test_smoothing_removes_trembling_and_keeps_steady_poses() -> None:
    rng = np.random.default_rng(0)
    steady = poses(np.full(40, 7.0), np.tile([0.01, -0.02, -0.7], (40, 1)))
    np.testing.assert_allclose(smooth_poses(steady, 7), steady, atol=1e-6)
    trembling = poses(7 + rng.normal(0, 1, 40), np.array([0.01, -0.02, -0.7]) + rng.normal(0, 0.002, (40, 3)))
    smooth = smooth_poses(trembling, 7)
    assert np.diff(smooth, axis=0).std() < 0.35 * np.diff(trembling, axis=0).std()
    np.testing.assert_array_equal(smooth_poses(trembling, 1), trembling)


def test_smoothed_rotations_are_rotations() -> None:
    smooth = smooth_poses(poses(np.random.default_rng(1).normal(0, 20, 9), np.tile([0, 0, -0.7], (9, 1))), 7)
    rotation = smooth[:, :3, :3]
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (9, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-5)


def test_chordal_mean_of_opposite_turns_is_no_turn() -> None:
    turns = Rotation.from_euler("x", [[30], [-30]], degrees=True).as_matrix()
    np.testing.assert_allclose(chordal_mean(turns), np.eye(3), atol=1e-12)


def test_smoothing_works_on_clips_shorter_than_the_window() -> None:
    clip = poses(np.array([0.0, 3.0]), np.tile([0, 0, -0.7], (2, 1)))
    assert smooth_poses(clip, 7).shape == (2, 4, 4)
    assert camera_path(clip[:1], [(0, 1)], 5).c2w.shape == (5, 4, 4)
