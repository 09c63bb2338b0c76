from __future__ import annotations

import numpy as np
import pytest

from data_gen.tracking_bench.figures import (
    cut_figures,
    leakage,
    mask_overlap,
    mouth_figures,
    pose_errors,
    rest_jitter,
)
from utils.geometry.rotations import c2w_from_world_to_camera, matrix_from_vector


def motion(frames: int = 80) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(frames) / 25
    turn = np.column_stack([0.1 * np.sin(t), 0.2 * np.sin(1.7 * t), 0.05 * np.cos(t)])
    return matrix_from_vector(turn), np.column_stack([0.01 * np.sin(2 * t), 0 * t, -0.8 + 0.02 * np.cos(t)])


def test_another_convention_of_axes_origin_and_scale_is_no_error() -> None:
    rotation, translation = motion()
    turn, shift, scale = matrix_from_vector(np.array([0.3, -0.1, 0.2])), np.array([0.01, 0.02, -0.03]), 1.3
    other = c2w_from_world_to_camera(rotation @ turn, scale * (translation + rotation @ shift))
    errors = pose_errors(other, c2w_from_world_to_camera(rotation, translation))
    assert max(errors.values()) < 1e-4


def test_noise_on_the_rotation_is_the_error_reported() -> None:
    rotation, translation = motion(400)
    noise = matrix_from_vector(np.radians(np.random.default_rng(0).standard_normal((400, 3))))
    errors = pose_errors(
        c2w_from_world_to_camera(noise @ rotation, translation), c2w_from_world_to_camera(rotation, translation)
    )
    assert 1.3 < errors["rotation_deg"] < 1.8  # the median length of three normal numbers is 1.54
    assert 2.4 < errors["rotation_p95_deg"] < 3.2


def test_jitter_is_judged_at_rest_and_never_across_a_cut() -> None:
    still = np.tile(np.eye(4), (60, 1, 1))
    jump = still.copy()
    jump[30:, :3, :3] = matrix_from_vector(np.array([0, 0.3, 0]))
    assert rest_jitter(still, [(0, 60)]) == 0
    assert rest_jitter(jump, [(0, 30), (30, 60)]) < 1e-6
    shaken = still.copy()
    shaken[:, :3, :3] = matrix_from_vector(
        np.column_stack([np.zeros((60, 2)), np.radians(0.1) * (-1.0) ** np.arange(60)])
    )
    np.testing.assert_allclose(rest_jitter(shaken, [(0, 60)]), 0.4, rtol=1e-6)


def test_leakage_compares_the_nose_with_the_mouth() -> None:
    rng = np.random.default_rng(0)
    lm3d = np.zeros((500, 68, 3))
    lm3d[:, 48:68] = rng.standard_normal((500, 20, 3))
    assert leakage(lm3d) == 0
    lm3d += 0.2 * rng.standard_normal((500, 1, 3))
    assert 0.02 < leakage(lm3d) < 0.06


def test_a_mouth_that_moves_half_as_far_correlates_but_shows_in_the_amplitude() -> None:
    true = np.zeros((50, 68, 3))
    true[:, 45, 0] = 1
    true[:, [66, 57], 1] = 0.2 + 0.1 * np.sin(np.arange(50))[:, None]
    timid = true.copy()
    timid[:, [66, 57], 1] *= 0.5
    figures = mouth_figures(timid, true)
    assert [figures[name] for name in ("opening_corr", "height_corr")] == pytest.approx([1.0, 1.0])
    assert figures["opening_amplitude"] == pytest.approx(0.5)


def test_overlap_counts_each_layer_by_itself() -> None:
    labels = np.array([[1, 1, 2, 0]])
    alphas = np.array([[[255, 0], [0, 255], [0, 255], [0, 0]]], np.uint8)
    assert mask_overlap(labels, alphas) == (0.5, 0.5)


def test_a_cut_found_one_frame_beside_counts_and_a_false_one_is_counted() -> None:
    figures = cut_figures(found=[75, 151, 400], true=[75, 150, 225], visible=[75, 150])
    assert figures == {"cuts_found": 2 / 3, "visible_cuts_found": 1.0, "false_cuts": 1.0}
