from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from modules.face.head_pose import project_lm3d
from modules.face.landmarks68 import MESH_OF_68
from modules.face.pose_solver import Poses, project_camera
from modules.face.tracker.fit import Fit, fit_clip, mediapipe_head, point_model
from modules.face.tracker.result import Convention, head_pose_of
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import angle_between, matrix_from_vector, mean_rotation, world_to_camera_from_c2w

CAMERA = Intrinsics(4.0 * 512, 256.0, 256.0, 512, 512)
NUM_FRAMES = 30


@dataclass(frozen=True)
class Clip:
    poses: Poses
    expression: np.ndarray
    landmarks: np.ndarray
    """[T,68,3] without pose, metres of the model."""
    points: np.ndarray
    """[T,478,2] pixels."""


@functools.cache
def clip(noise_px: float = 0.5, focal: float = CAMERA.focal, distance: float = 1.2) -> Clip:
    """A person who turns, speaks and blinks before a camera."""
    rng = np.random.default_rng(0)
    head = mediapipe_head()
    t = np.arange(NUM_FRAMES) / 25
    turn = np.column_stack([0.08 * np.sin(3 * t), 0.2 * np.sin(2.1 * t + 1), 0.05 * np.sin(1.7 * t)])
    shift = np.column_stack([0.01 * np.sin(2 * t), 0.008 * np.cos(3 * t), -distance + 0.02 * np.sin(t)])
    expression = np.zeros((NUM_FRAMES, len(head.expression_names)))
    expression[:, head.expression_names.index("jawOpen")] = 0.25 * (1 + np.sin(11 * t))
    for side in ("Left", "Right"):
        expression[:, head.expression_names.index(f"eyeBlink{side}")] = np.sin(5 * t) > 0.9
    middle = head.mean.mean(axis=0)
    shape = head.vertices(0.8 * rng.standard_normal(64)) - middle
    points = shape + np.tensordot(expression, head.expression_basis, 1)
    poses = Poses(matrix_from_vector(turn), shift)
    camera = Intrinsics(focal, 256.0, 256.0, 512, 512)
    pixels = project_camera(poses.camera_points(points), camera) + noise_px * rng.standard_normal((NUM_FRAMES, 478, 2))
    return Clip(poses, expression, points[:, MESH_OF_68], pixels)


@functools.cache
def fitted(threads: int = 1) -> Fit:
    return fit_clip(mediapipe_head(), clip().points, np.ones(NUM_FRAMES, bool), CAMERA, threads=threads)


def opening(landmarks: np.ndarray) -> np.ndarray:
    return np.linalg.norm(landmarks[:, 62] - landmarks[:, 66], axis=-1)


def test_poses_and_mouth_of_a_moving_speaker_are_found() -> None:
    pose = head_pose_of(fitted(), point_model(mediapipe_head()), clip().points, CAMERA)
    rotation = world_to_camera_from_c2w(pose.c2w)[0]
    convention = mean_rotation(np.swapaxes(clip().poses.rotation, 1, 2) @ rotation)
    error = angle_between(clip().poses.rotation @ convention, rotation)
    assert np.median(error) < 0.4
    assert np.corrcoef(opening(pose.lm3d), opening(clip().landmarks))[0, 1] > 0.99


def test_landmarks_project_onto_what_was_seen_and_their_rigid_part_stands_still() -> None:
    pose = head_pose_of(fitted(), point_model(mediapipe_head()), clip().points, CAMERA)
    apart = np.linalg.norm(project_lm3d(pose.lm3d, pose.c2w, pose.intrinsics) - clip().points[:, MESH_OF_68], axis=-1)
    assert apart.mean() < 0.7  # the noise of points that keep still stays outside the landmarks
    assert apart[:, 60:68].mean() < 0.1
    variance = pose.lm3d.var(axis=0).sum(axis=-1)
    assert variance[27:31].mean() < 0.01 * variance[48:68].mean()


def test_one_identity_serves_all_frames_and_the_convention_holds() -> None:
    pose = head_pose_of(fitted(), point_model(mediapipe_head()), clip().points, CAMERA)
    assert pose.identity is not None
    assert pose.identity.shape == (64,)
    np.testing.assert_allclose(np.linalg.norm(pose.shape[263] - pose.shape[33]), 0.09, rtol=1e-6)
    np.testing.assert_allclose(pose.shape[[127, 356]].mean(axis=0), 0, atol=1e-6)


def test_the_number_of_threads_changes_nothing() -> None:
    np.testing.assert_array_equal(fitted(1).unknowns.expression.numpy(), fitted(2).unknowns.expression.numpy())


def test_a_free_focal_length_moves_towards_the_true_one() -> None:
    near = clip(0.1, focal=1.6 * 512, distance=0.5)
    fit = fit_clip(mediapipe_head(), near.points, np.ones(NUM_FRAMES, bool), CAMERA, focal_spread=1.0)
    assert abs(np.log(fit.focal / (1.6 * 512))) < 0.3


def test_information_about_the_head_weighs_a_step_as_that_about_the_model_does() -> None:
    rng = np.random.default_rng(0)
    convention = Convention(1.2, matrix_from_vector(np.array([0.2, -0.1, 0.3])), np.array([0.02, -0.03, 0.05]))
    rotation, translation = clip().poses.rotation, clip().poses.translation
    root = rng.standard_normal((NUM_FRAMES, 6, 6))
    about_model = root @ np.swapaxes(root, 1, 2)
    turn, shift = 1e-6 * rng.standard_normal(3), 1e-6 * rng.standard_normal(3)
    before = convention.poses(rotation, translation)
    after = convention.poses(matrix_from_vector(turn) @ rotation, translation + shift)
    step = np.concatenate([np.tile(turn, (NUM_FRAMES, 1)), after.translation - before.translation], axis=1)
    expected = np.einsum("i,tij,j->t", np.r_[turn, shift], about_model, np.r_[turn, shift])
    found = np.einsum("ti,tij,tj->t", step, convention.information(about_model, before), step)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
