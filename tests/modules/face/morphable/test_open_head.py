from __future__ import annotations

import numpy as np

from modules.face.landmarks68 import MESH_OF_68
from modules.face.morphable.open_head import load_open_head
from modules.face.rigid_shape import align


def action(name: str, weight: float = 1.0) -> np.ndarray:
    names = load_open_head().expression_names
    return weight * np.eye(len(names))[names.index(name)]


def test_a_mean_identity_is_a_head_of_human_size() -> None:
    points = load_open_head().restricted("ibug68").mean
    assert 0.07 < np.linalg.norm(points[45] - points[36]) < 0.11
    assert 0.09 < points[27, 1] - points[8, 1] < 0.14


def test_opening_the_jaw_lowers_lip_chin_and_lower_teeth_and_nothing_above() -> None:
    model = load_open_head()
    moved = model.vertices(expression=action("jawOpen")) - model.mean
    riding = model.embedding("ibug68").points(moved)
    assert riding[66, 1] < -0.010
    assert riding[8, 1] < -0.010
    assert moved[model.parts["teeth_lower"], 1].mean() < -0.010
    for part in ("teeth_upper", "eye_left", "eye_right"):
        assert np.abs(moved[model.parts[part]]).max() < 1e-3
    assert np.abs(riding[27:36]).max() < 2e-3


def test_a_blink_shuts_the_eye_of_its_own_side_alone() -> None:
    riding = load_open_head().restricted("ibug68")
    points = riding.mean + np.tensordot(action("eyeBlinkRight"), riding.expression_basis, 1)

    def opening(face: np.ndarray, upper: int, lower: int) -> float:
        return float(face[upper, 1] - face[lower, 1])

    assert opening(points, 38, 40) < 0.1 * opening(riding.mean, 38, 40)  # the person's right eye is image-left
    np.testing.assert_allclose(opening(points, 43, 47), opening(riding.mean, 43, 47), rtol=0.05)


def test_the_478_points_and_the_68_landmarks_agree_where_both_name_the_same_place() -> None:
    model = load_open_head()
    inner = np.r_[27:31, 36, 39, 42, 45, 48, 54]  # bridge of the nose, corners of eyes and mouth
    mesh = model.restricted("mediapipe478").mean[MESH_OF_68[inner]]
    apart = np.linalg.norm(mesh - model.restricted("ibug68").mean[inner], axis=1)
    assert np.median(apart) < 0.006
    assert apart.max() < 0.012


def test_identities_drawn_at_random_are_faces_that_differ() -> None:
    riding = load_open_head().restricted("mediapipe478")
    rng = np.random.default_rng(0)
    people = np.stack([riding.vertices(identity=rng.standard_normal(64)) for _ in range(40)])
    people = align(people.astype(np.float64), riding.mean.astype(np.float64), np.ones(478))
    spread = np.linalg.norm(people.std(axis=0), axis=-1)
    assert 0.0015 < spread.mean() < 0.006
    assert people[:, 4, 2].min() > people[:, [127, 356], 2].max()  # the nose stands before the temples


def test_identity_and_expression_add_up() -> None:
    model = load_open_head()
    identity = np.random.default_rng(1).standard_normal(64)
    both = model.vertices(identity, action("mouthSmileLeft"))
    apart = model.vertices(identity) + model.vertices(expression=action("mouthSmileLeft")) - model.mean
    np.testing.assert_allclose(both, apart, atol=1e-6)
