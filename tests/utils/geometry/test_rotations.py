from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.geometry.rotations import (
    angle_between,
    c2w_from_world_to_camera,
    matrix_from_vector,
    mean_rotation,
    nearest_rotation,
    vector_from_matrix,
    world_to_camera_from_c2w,
)

VECTORS = st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3).map(np.array)


@given(VECTORS)
def test_vector_and_matrix_undo_each_other(vector: np.ndarray) -> None:
    np.testing.assert_allclose(vector_from_matrix(matrix_from_vector(vector)), vector, atol=1e-9)


def test_a_quarter_turn_about_y_takes_z_to_x() -> None:
    turn = matrix_from_vector(np.array([0, np.pi / 2, 0]))
    np.testing.assert_allclose(turn @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_angle_is_that_of_the_relative_turn() -> None:
    base = matrix_from_vector(np.array([0.3, -0.2, 0.9]))
    turned = matrix_from_vector(np.array([0, np.radians(7), 0])) @ base
    assert angle_between(turned, base) == pytest.approx(7)


def test_mean_of_opposite_turns_is_no_turn() -> None:
    turns = matrix_from_vector(np.array([[0.2, 0.1, 0], [-0.2, -0.1, 0]]))
    np.testing.assert_allclose(mean_rotation(turns), np.eye(3), atol=1e-12)


def test_nearest_rotation_is_proper_even_for_a_mirror() -> None:
    rotation = nearest_rotation(np.diag([1.0, 1.0, -0.1])[None])[0]
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_camera_to_world_undoes_world_to_camera() -> None:
    rotation, translation = matrix_from_vector(np.array([[0.1, 0.5, -0.3]])), np.array([[0.1, 0.2, -1.4]])
    point = np.array([0.03, -0.01, 0.08])
    c2w = c2w_from_world_to_camera(rotation, translation)
    camera = rotation[0] @ point + translation[0]
    np.testing.assert_allclose(c2w[0, :3, :3] @ camera + c2w[0, :3, 3], point, atol=1e-12)
    again = world_to_camera_from_c2w(c2w)
    np.testing.assert_allclose(again[0], rotation, atol=1e-12)
    np.testing.assert_allclose(again[1], translation, atol=1e-12)
