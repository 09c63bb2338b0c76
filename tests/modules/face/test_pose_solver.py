from __future__ import annotations

import numpy as np

from modules.face.pose_solver import gradient_by_point, gradient_by_pose, point_jacobian, pose_jacobian, project_camera
from tests.modules.face.synthetic_head import CAMERA
from utils.geometry.rotations import matrix_from_vector


def test_gradients_are_those_of_the_jacobians() -> None:
    rng = np.random.default_rng(0)
    turned, gradient = rng.normal(0, 0.05, (50, 3)), rng.normal(size=(2, 50))
    camera = turned + np.array([0.01, 0.02, -1.3])
    by_point = gradient_by_point(gradient, camera, CAMERA.focal)
    by_pose = gradient_by_pose(by_point, turned)
    across = gradient.T[:, None]
    np.testing.assert_allclose(by_point.T, (across @ point_jacobian(camera, CAMERA.focal))[:, 0])
    np.testing.assert_allclose(by_pose.T, (across @ pose_jacobian(camera, turned, CAMERA.focal))[:, 0])


def test_the_pose_jacobian_is_the_slope_of_the_projection() -> None:
    rng = np.random.default_rng(1)
    turned, shift = rng.normal(0, 0.05, (7, 3)), np.array([0.01, -0.02, -1.2])
    jacobian = pose_jacobian(turned + shift, turned, CAMERA.focal)
    for number, step in enumerate(1e-6 * np.eye(6)):
        ends = [
            project_camera(turned @ matrix_from_vector(sign * step[:3]).T + shift + sign * step[3:], CAMERA)
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(jacobian[..., number], (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-4)
