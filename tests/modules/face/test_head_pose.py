from __future__ import annotations

import numpy as np
import pytest

from modules.face.head_pose import project_lm3d, smooth_in_segments, solve_head_pose
from modules.face.landmarks68 import EYE_CORNERS, JAW_LINE, MESH_OF_68, to_landmarks68
from modules.face.pose_smoother import smooth_poses
from modules.face.pose_solver import Poses, project_camera, refine_poses, reprojection_error
from modules.face.rigid_shape import EYE_CORNER_DISTANCE_M
from tests.modules.face.synthetic_head import CAMERA, SIZE, footage, head_motion, head_shape, observe
from utils.geometry.rotations import angle_between, matrix_from_vector, mean_rotation, world_to_camera_from_c2w

WHOLE = [(0, 60)]


def solve(points: np.ndarray, segments: list[tuple[int, int]] = WHOLE, smoothing: float = 0.0):
    return solve_head_pose(points, np.ones(len(points), bool), (SIZE, SIZE), segments, smoothing=smoothing)


def rotation_error(truth: Poses, solved: np.ndarray) -> np.ndarray:
    """Degrees per frame, a constant turn of the head's own axes left out."""
    rotation, _ = world_to_camera_from_c2w(solved)
    constant = mean_rotation(np.swapaxes(truth.rotation, 1, 2) @ rotation)
    return angle_between(truth.rotation @ constant, rotation)


def test_solver_finds_known_poses_from_a_bad_start() -> None:
    shape, truth = head_shape()[:120], head_motion(40)
    pixels = project_camera(truth.camera_points(shape), CAMERA)
    start = Poses(matrix_from_vector(np.tile([0.2, -0.2, 0.1], (40, 1))) @ truth.rotation, truth.translation * 1.2)
    found = refine_poses(start, shape, pixels, np.ones(120), CAMERA, iterations=15)
    assert angle_between(found.rotation, truth.rotation).max() < 1e-3
    np.testing.assert_allclose(found.translation, truth.translation, atol=1e-5)


def test_outliers_do_not_move_the_pose() -> None:
    shape, truth = head_shape()[:120], head_motion(5)
    pixels = project_camera(truth.camera_points(shape), CAMERA)
    pixels[:, :8] += 30.0
    found = refine_poses(truth, shape, pixels, np.ones(120), CAMERA, iterations=15)
    assert angle_between(found.rotation, truth.rotation).max() < 0.5


def test_clip_is_solved_within_a_tenth_of_a_degree_and_half_a_percent() -> None:
    clip = footage()
    pose = solve(clip.points)
    assert rotation_error(clip.poses, pose.c2w).max() < 0.1
    distance = np.linalg.norm(pose.c2w[:, :3, 3], axis=1)
    truth = np.linalg.norm(clip.poses.translation, axis=1)
    ratio = distance / truth
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.005
    assert pose.reprojection_px.max() < 0.1


def test_noise_of_half_a_pixel_is_survived() -> None:
    clip = footage(noise_px=0.5)
    assert rotation_error(clip.poses, solve(clip.points).c2w).mean() < 0.3


def test_scale_is_nine_centimetres_between_the_eye_corners() -> None:
    shape = solve(footage().points).shape
    left, right = shape[list(EYE_CORNERS)]
    assert np.linalg.norm(right - left) == pytest.approx(EYE_CORNER_DISTANCE_M, rel=0.01)
    assert right[0] > 0 > left[0]
    assert shape[1, 2] > shape[127, 2]  # the nose is nearer to the viewer than the temples
    assert shape[10, 1] > shape[152, 1]  # the forehead is above the chin


def test_landmarks_project_back_onto_the_picture() -> None:
    clip = footage()
    pose = solve(clip.points)
    back = project_lm3d(pose.lm3d, pose.c2w, pose.intrinsics)
    np.testing.assert_allclose(back, to_landmarks68(clip.points)[..., :2], atol=0.02)


def test_landmarks_of_a_still_face_do_not_move_with_the_head() -> None:
    lm3d = solve(footage().points).lm3d
    assert lm3d.std(axis=0).max() < 0.05  # centimetres, while the head turns by 9 degrees


def test_an_opening_mouth_moves_only_the_mouth() -> None:
    clip = footage()
    faces = np.repeat(clip.shape[None], 60, axis=0)
    lips = np.unique(MESH_OF_68[48:68])
    faces[:, lips, 1] -= 0.01 * np.abs(np.sin(np.arange(60) / 3))[:, None]
    pose = solve(observe(faces, clip.poses))
    spread = pose.lm3d.std(axis=0)
    lips_low = to_landmarks68(clip.shape)[48:68, 1] < clip.shape[2, 1]
    assert spread[48:68][lips_low, 1].min() > 0.2
    assert spread[[27, 36, 39, 42, 45]].max() < 0.05


def test_frames_that_are_not_valid_do_not_disturb_the_others() -> None:
    clip = footage()
    points, valid = clip.points.copy(), np.ones(60, bool)
    points[20:25] += 90.0
    valid[20:25] = False
    pose = solve_head_pose(points, valid, (SIZE, SIZE), WHOLE, smoothing=0.0)
    assert len(pose.c2w) == 60
    assert rotation_error(clip.poses.take(np.flatnonzero(valid)), pose.c2w[valid]).max() < 0.1


def test_smoothing_never_crosses_a_cut() -> None:
    values = np.r_[np.zeros(30), np.ones(30)]
    smooth = smooth_in_segments(values, [(0, 30), (30, 60)], 2.0)
    np.testing.assert_allclose(smooth, values)
    assert 0.1 < smooth_in_segments(values, WHOLE, 2.0)[30] < 0.9


def test_smoothing_calms_noise_and_keeps_the_reprojection() -> None:
    clip = footage(noise_px=0.4)
    rough, calm = solve(clip.points), solve(clip.points, smoothing=1.0)

    def jitter(c2w: np.ndarray) -> float:
        return float(np.abs(np.diff(c2w[:, :3, 3], 2, axis=0)).mean())

    assert jitter(calm.c2w) < 0.5 * jitter(rough.c2w)
    assert calm.reprojection_px.mean() < 1.3 * rough.reprojection_px.mean()


def test_most_probable_path_keeps_what_is_sure_and_calms_what_is_not() -> None:
    truth = head_motion(60)
    noise = np.random.default_rng(0).standard_normal((60, 6)) * [0, 0.01, 0, 0, 0, 0.01]
    noisy = Poses(matrix_from_vector(noise[:, :3]) @ truth.rotation, truth.translation + noise[:, 3:])
    deviation = np.array([1e-5, 0.01, 1e-5, 1e-5, 1e-5, 0.01])
    information = np.repeat(np.diag(1 / deviation**2)[None], 60, axis=0)
    smooth = smooth_poses(noisy, information, WHOLE)
    assert (
        angle_between(smooth.rotation, truth.rotation).mean()
        < 0.6 * angle_between(noisy.rotation, truth.rotation).mean()
    )
    np.testing.assert_allclose(smooth.translation[:, 0], truth.translation[:, 0], atol=2e-4)


def test_most_probable_path_does_not_cross_a_cut() -> None:
    still = Poses(np.repeat(np.eye(3)[None], 40, axis=0), np.tile([0.0, 0.0, -1.4], (40, 1)))
    still.translation[20:, 0] = 0.1
    wobble = 1e-4 * np.random.default_rng(0).standard_normal((40, 3))
    noisy = Poses(still.rotation, still.translation + wobble)
    smooth = smooth_poses(noisy, np.repeat(np.eye(6)[None], 40, axis=0), [(0, 20), (20, 40)])
    np.testing.assert_allclose(smooth.translation, still.translation, atol=5e-4)


def test_reprojection_error_is_the_shift_of_the_pixels() -> None:
    shape, poses = head_shape()[:50], head_motion(3)
    pixels = project_camera(poses.camera_points(shape), CAMERA) + np.array([3.0, 4.0])
    np.testing.assert_allclose(reprojection_error(poses, shape, pixels, np.ones(50), CAMERA), 5.0)


def test_the_68_landmarks_are_distinct_vertices_and_the_jaw_runs_from_ear_to_ear() -> None:
    assert len(set(MESH_OF_68.tolist())) == 68
    assert JAW_LINE[0] == MESH_OF_68[0]
    assert JAW_LINE[-1] == MESH_OF_68[16]
    assert MESH_OF_68[8] == 152
