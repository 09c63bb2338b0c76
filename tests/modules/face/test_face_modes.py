from __future__ import annotations

import numpy as np
import pytest

from modules.face.face_modes import expression_modes, identity_modes
from modules.face.photometric import surface_points
from modules.face.rigid_shape import to_head_coordinates
from modules.face.tracker.fit import mediapipe_head


@pytest.fixture(scope="module")
def shape() -> np.ndarray:
    return to_head_coordinates(mediapipe_head().mean.astype(np.float64))


def test_modes_move_both_sides_of_the_face_alike(shape: np.ndarray) -> None:
    points = surface_points(shape)
    modes = expression_modes(shape, points, 6)
    mirrored = np.argmin(np.linalg.norm(points[:, None] - points[None] * [-1.0, 1.0, 1.0], axis=-1), axis=1)
    apart = np.abs(modes - modes[:, mirrored] * [-1.0, 1.0, 1.0]).mean()
    assert apart < 0.15 * np.abs(modes).mean()


def test_the_strongest_modes_are_millimetres_and_come_first(shape: np.ndarray) -> None:
    sizes = np.sqrt((expression_modes(shape, surface_points(shape), 8) ** 2).sum(axis=-1).mean(axis=1))
    assert np.all(np.diff(sizes) <= 0)
    assert 0.5e-3 < sizes[0] < 4e-3


def test_points_beyond_the_mesh_keep_still_and_no_mode_is_allowed(shape: np.ndarray) -> None:
    far = np.array([[0.5, 0.5, 0.0], [0.0, 0.05, 0.08]])
    modes = expression_modes(shape, far, 3)
    np.testing.assert_allclose(modes[:, 0], 0.0, atol=1e-12)
    assert np.linalg.norm(modes[:, 1], axis=1).max() > 1e-4
    assert expression_modes(shape, far, 0).shape == (0, 2, 3)


def test_identity_modes_leave_place_turn_and_size_to_the_pose(shape: np.ndarray) -> None:
    points = surface_points(shape)
    modes = identity_modes(shape, points, 5)
    centred = points - points.mean(axis=0)
    np.testing.assert_allclose(modes.mean(axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose((modes * centred).sum(axis=(1, 2)), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.cross(centred, modes).sum(axis=1), 0.0, atol=1e-9)
