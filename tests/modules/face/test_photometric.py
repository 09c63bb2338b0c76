from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator

from modules.face import photometric
from modules.face.face_modes import expression_modes
from modules.face.photometric import PhotometricAligner, joined, surface_points
from modules.face.pose_solver import Poses
from tests.modules.face.synthetic_head import (
    CAMERA,
    head_motion,
    open_head_shape,
    paint_face,
    smooth_head_shape,
    surface_depth,
)
from utils.geometry.rotations import angle_between, matrix_from_vector, mean_rotation


@pytest.fixture(scope="module")
def pictures() -> tuple[Poses, Poses, list[np.ndarray]]:
    truth = head_motion(24)
    rng = np.random.default_rng(3)
    wrong = Poses(
        matrix_from_vector(rng.normal(0, np.radians(0.4), (24, 3))) @ truth.rotation,
        truth.translation + rng.normal(0, 4e-4, (24, 3)),
    )
    return truth, wrong, [paint_face(truth, smooth_head_shape(), t) for t in range(24)]


def off_by(found: Poses, truth: Poses) -> float:
    constant = mean_rotation(np.swapaxes(truth.rotation, 1, 2) @ found.rotation)
    return float(angle_between(truth.rotation @ constant, found.rotation).mean())


def test_poses_come_nearer_to_the_truth(pictures: tuple[Poses, Poses, list[np.ndarray]]) -> None:
    truth, wrong, frames = pictures
    aligner = PhotometricAligner(smooth_head_shape(), CAMERA)
    aligner.learn(frames, wrong.rotation, wrong.translation)
    aligned = [aligner.align(*item) for item in zip(frames, wrong.rotation, wrong.translation, strict=True)]
    found, _ = joined(aligned, np.ones(24, bool))
    assert off_by(found, truth) < 0.5 * off_by(wrong, truth)
    assert np.mean([one.correlation for one in aligned]) > 0.95


def test_a_covered_face_keeps_the_pose_given(pictures: tuple[Poses, Poses, list[np.ndarray]]) -> None:
    _, wrong, frames = pictures
    aligner = PhotometricAligner(smooth_head_shape(), CAMERA)
    aligner.learn(frames, wrong.rotation, wrong.translation)
    noise = np.random.default_rng(0).integers(0, 255, frames[0].shape).astype(np.uint8)
    aligned = aligner.align(noise, wrong.rotation[0], wrong.translation[0])
    np.testing.assert_array_equal(aligned.rotation, wrong.rotation[0])
    assert aligned.correlation < 0.7


def test_black_frames_among_those_learnt_from_do_no_harm(pictures: tuple[Poses, Poses, list[np.ndarray]]) -> None:
    truth, wrong, frames = pictures
    spoilt = [np.zeros_like(frame) if t in (3, 4) else frame for t, frame in enumerate(frames)]
    aligner = PhotometricAligner(smooth_head_shape(), CAMERA)
    aligner.learn(spoilt, wrong.rotation, wrong.translation)
    aligned = [aligner.align(*item) for item in zip(frames, wrong.rotation, wrong.translation, strict=True)]
    assert off_by(joined(aligned, np.ones(24, bool))[0], truth) < 0.5 * off_by(wrong, truth)


def test_surface_leaves_out_eyes_mouth_and_jaw() -> None:
    shape = smooth_head_shape()
    points = surface_points(shape)
    assert len(points) > 500
    assert points[:, 1].min() > shape[2, 1]
    assert np.linalg.norm(points[:, :2] - [-0.031, 0.02], axis=1).min() > 0.008


def test_expressions_do_not_pass_for_nods(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, shape = head_motion(16), open_head_shape()
    points = surface_points(shape)
    skin = LinearNDInterpolator(points[:, :2], expression_modes(shape, points, 2)[1, :, :2], fill_value=0.0)
    strength = 1.5 * np.sin(np.arange(16) / 2)
    frames = [paint_face(truth, shape, t, lambda xy, t=t: strength[t] * skin(xy)) for t in range(16)]

    def error(num_modes: int) -> float:
        monkeypatch.setattr(photometric, "_MODES", num_modes)
        aligner = PhotometricAligner(shape, CAMERA)
        aligner.learn(frames, truth.rotation, truth.translation)
        aligned = [aligner.align(*item) for item in zip(frames, truth.rotation, truth.translation, strict=True)]
        return off_by(joined(aligned, np.ones(16, bool))[0], truth)

    stiff, soft = error(0), error(8)
    assert stiff > 0.2
    assert soft < 0.5 * stiff


def test_a_face_thought_too_flat_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, shape = head_motion(20), open_head_shape()
    frames = [paint_face(truth, shape, t) for t in range(20)]
    flat = shape * [1.0, 1.0, 0.6]

    def depth(shape_rounds: int) -> float:
        monkeypatch.setattr(photometric, "_SHAPE_ROUNDS", shape_rounds)
        aligner = PhotometricAligner(flat, CAMERA)
        aligner.learn(frames, truth.rotation, truth.translation)
        return float(np.polyfit(surface_depth(*aligner.points[:, :2].T), aligner.points[:, 2], 1)[0])

    assert depth(0) == pytest.approx(0.6, abs=0.02)
    assert depth(3) > 0.7
