from __future__ import annotations

import numpy as np
import pytest

from modules.face.photometric import PhotometricAligner, joined, surface_points
from modules.face.pose_solver import Poses
from tests.modules.face.synthetic_head import CAMERA, head_motion, paint_face, smooth_head_shape
from utils.geometry.rotations import angle_between, matrix_from_vector, mean_rotation


@pytest.fixture(scope="module")
def pictures() -> tuple[Poses, Poses, list[np.ndarray]]:
    truth = head_motion(40)
    rng = np.random.default_rng(3)
    wrong = Poses(
        matrix_from_vector(rng.normal(0, np.radians(0.4), (40, 3))) @ truth.rotation,
        truth.translation + rng.normal(0, 4e-4, (40, 3)),
    )
    return truth, wrong, [paint_face(truth, smooth_head_shape(), t) for t in range(40)]


def off_by(found: Poses, truth: Poses) -> float:
    constant = mean_rotation(np.swapaxes(truth.rotation, 1, 2) @ found.rotation)
    return float(angle_between(truth.rotation @ constant, found.rotation).mean())


def test_poses_come_nearer_to_the_truth(pictures: tuple[Poses, Poses, list[np.ndarray]]) -> None:
    truth, wrong, frames = pictures
    aligner = PhotometricAligner(smooth_head_shape(), CAMERA)
    aligner.learn(frames, wrong.rotation, wrong.translation)
    aligned = [aligner.align(*item) for item in zip(frames, wrong.rotation, wrong.translation, strict=True)]
    found, _ = joined(aligned, np.ones(40, bool))
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


def test_surface_leaves_out_eyes_mouth_and_jaw() -> None:
    shape = smooth_head_shape()
    points = surface_points(shape)
    assert len(points) > 500
    assert points[:, 1].min() > shape[2, 1]
    assert np.linalg.norm(points[:, :2] - [-0.031, 0.02], axis=1).min() > 0.008
