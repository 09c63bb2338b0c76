"""Landmark figures against closed forms."""

import numpy as np
import pytest

from utils.metrics.landmark import aligned_lmd, closure, eye_opening, jitter, lip_speed, lmd, silence_leak


def face(frames: int) -> np.ndarray:
    points = np.zeros((frames, 68, 2))
    points[:, 36], points[:, 45] = [-50, 0], [50, 0]
    return points


def test_lmd_ignores_where_the_mouth_is_but_not_its_shape() -> None:
    true = face(3)
    true[:, 48:] = np.random.default_rng(0).standard_normal((20, 2))
    assert lmd(true + np.array([30, -7]), true) == pytest.approx(0, abs=1e-9)
    wide = true.copy()
    wide[:, 48:58] += [2, 0]  # half the points 2 px to the right: 1 px each from the common mean
    assert lmd(wide, true) == pytest.approx(1)


def test_jitter_of_steady_motion_is_zero_and_of_zigzag_its_closed_form() -> None:
    steady = face(10) + np.arange(10)[:, None, None] * np.array([3.0, 1.0])
    assert jitter(steady) == pytest.approx(0, abs=1e-12)
    zigzag = face(10) + np.array([0.5, -0.5] * 5)[:, None, None] * np.array([1.0, 0.0])
    assert jitter(zigzag) == pytest.approx(2 / 100)


def test_jitter_does_not_see_the_jump_between_pieces() -> None:
    points = face(10)
    points[5:] += 40
    assert jitter(points) > 0.05
    assert jitter(points, [(0, 5), (5, 10)]) == 0
    assert np.isnan(jitter(points, [(0, 2)]))


def test_closure_counts_only_truly_closed_frames() -> None:
    true = np.array([0.0, 0.01, 0.019, 0.001, 0.2])
    assert closure(np.array([0.0, 0.1, 0.01, 0.3, 0.0]), true) == pytest.approx(0.5)
    assert np.isnan(closure(true, true + 1))


def test_silence_leak_compares_speeds_inside_silence_and_speech() -> None:
    speaking = np.array([True] * 4 + [False] * 4)
    opening = np.array([0.0, 0.2, 0.0, 0.2, 0.9, 0.95, 0.9, 0.95])  # the step between the two states counts for neither
    assert silence_leak(opening, speaking) == pytest.approx(0.25)
    assert np.isnan(silence_leak(opening, np.ones(8, bool)))


def test_eye_opening_is_the_lid_distance_over_the_eye_distance() -> None:
    points = face(2)
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        points[:, upper, 1], points[:, lower, 1] = -4, 4
    np.testing.assert_allclose(eye_opening(points), [0.08, 0.08])


def test_silence_leak_does_not_see_the_jump_between_pieces() -> None:
    speaking = np.array([True] * 4 + [False] * 4)
    opening = np.array([0.0, 0.2, 0.0, 0.2, 0.1, 0.1, 0.9, 0.9])
    assert silence_leak(opening, speaking) > 1
    assert silence_leak(opening, speaking, [(0, 6), (6, 8)]) == 0


def test_aligned_lmd_forgives_a_turned_and_moved_mouth_but_not_a_larger_one() -> None:
    true = np.random.default_rng(0).normal(size=(4, 68, 3))
    angle = np.radians(8)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = true.copy()
    moved[..., :2] = true[..., :2] @ turn.T + 3
    assert aligned_lmd(moved, true) == pytest.approx(0, abs=1e-6)
    assert lmd(moved, true) > 0.05
    mouth = true[:, 48:68, :2] - true[:, 48:68, :2].mean(axis=1, keepdims=True)
    assert aligned_lmd(1.5 * true, true) == pytest.approx(0.5 * np.linalg.norm(mouth, axis=-1).mean(), rel=1e-6)


def test_lip_speed_does_not_look_across_pieces() -> None:
    opening = np.array([0.0, 0.1, 5.0, 5.1])
    assert lip_speed(opening, [(0, 2), (2, 4)]) == pytest.approx(0.1)
    assert np.isnan(lip_speed(opening[:1]))
