"""Rays and projection are inverse to each other and follow the picture's axes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from utils.geometry.cameras import Intrinsics, pixel_rays, project

CAMERA = Intrinsics(focal=400.0, cx=31.0, cy=33.0, height=64, width=64)


def _pose() -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", [5, -8, 3], degrees=True).as_matrix()
    pose[:3, 3] = pose[:3, :3] @ [0.01, -0.02, 0.7]
    return pose


def test_a_point_on_a_ray_projects_to_its_pixel_center() -> None:
    pose = _pose()
    rows, columns = torch.tensor([0, 10, 63]), torch.tensor([5, 40, 63])
    origins, directions = pixel_rays(torch.tensor(pose), CAMERA, rows, columns)
    points = (origins + 0.65 * directions).numpy()
    expected = torch.stack([columns + 0.5, rows + 0.5], dim=-1).numpy()
    np.testing.assert_allclose(project(points, pose, CAMERA), expected, atol=1e-9)


def test_up_in_the_head_is_up_in_the_picture() -> None:
    pose = np.eye(4)
    pose[2, 3] = 0.7
    (center, above, right) = project(np.array([[0, 0, 0], [0, 0.05, 0], [0.05, 0, 0]]), pose, CAMERA)
    assert above[1] < center[1]
    assert right[0] > center[0]


def test_a_resized_camera_sees_the_same_rays() -> None:
    half = CAMERA.resized(32, 32)
    pose = torch.tensor(_pose())
    _, full = pixel_rays(pose, CAMERA, torch.tensor([20.5]), torch.tensor([40.5]))
    _, small = pixel_rays(pose, half, torch.tensor([10.0]), torch.tensor([20.0]))
    torch.testing.assert_close(full, small)
