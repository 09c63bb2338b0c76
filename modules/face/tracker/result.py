"""A fit in the head coordinates all stages share, with landmarks freed from pose.

The tracker's own coordinates are those of the morphable model, metres. The convention (``rigid_shape``) turns the face
upright, puts the origin between the temples and sets the outer eye corners 9 cm apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from modules.face.head_pose import HeadPose
from modules.face.landmarks68 import MESH_OF_68
from modules.face.pose_solver import Poses, project_camera, reprojection_error
from modules.face.rigid_shape import similarity, to_head_coordinates
from modules.face.tracker.fit import Fit
from modules.face.tracker.problem import PointModel, neutral_shape
from utils.geometry.cameras import Intrinsics
from utils.geometry.rotations import c2w_from_world_to_camera


@dataclass(frozen=True)
class Convention:
    """x_head = scale * turn @ x_model + shift."""

    scale: float
    turn: np.ndarray
    shift: np.ndarray

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return model points [...,3] in head coordinates."""
        moved: np.ndarray = self.scale * points @ self.turn.T + self.shift
        return moved

    def poses(self, rotation: np.ndarray, translation: np.ndarray) -> Poses:
        """Return poses of the model as poses of the head, all lengths in the convention's scale."""
        turned = rotation @ self.turn.T
        return Poses(turned, self.scale * translation - turned @ self.shift)

    def information(self, about_model: np.ndarray, poses: Poses) -> np.ndarray:
        """Return the information [T,6,6] about ``poses`` of the head, from that about the model's."""
        moved = np.zeros((len(about_model), 6, 6))
        moved[:, :3, :3] = np.eye(3)
        moved[:, 3:, 3:] = np.eye(3) / self.scale
        arm = poses.rotation @ self.shift  # a turn about the head's origin shifts the model's
        x, y, z = arm.T / self.scale
        moved[:, 3, 1], moved[:, 3, 2] = z, -y
        moved[:, 4, 0], moved[:, 4, 2] = -z, x
        moved[:, 5, 0], moved[:, 5, 1] = y, -x
        told: np.ndarray = np.swapaxes(moved, 1, 2) @ about_model @ moved
        return told


def convention_of(shape: np.ndarray) -> Convention:
    """Return how a mesh [478,3] comes into head coordinates."""
    scale, turn, shift = similarity(shape[None], to_head_coordinates(shape), np.ones(len(shape)))
    return Convention(float(scale[0]), turn[0], shift[0])


def _towards_rays(fit: Fit, landmarks: np.ndarray, pixels: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """Return the shifts [T,68,3] that bring landmarks that move with expressions onto the rays through their pixels.

    The model's actions leave a rest that is expression too. Points that keep still get none of it: there it is noise.
    """
    rotation, translation = fit.unknowns.rotation.numpy(), fit.unknowns.translation.numpy()
    seen = Poses(rotation, translation).camera_points(landmarks)
    off = (pixels - project_camera(seen, camera)) * [1.0, -1.0] * (-seen[..., 2:] / camera.focal)
    off = np.concatenate([off, np.zeros_like(off[..., :1])], axis=-1) @ rotation
    shifts: np.ndarray = off * (1.0 - fit.stillness[MESH_OF_68])[:, None]
    return shifts


def head_pose_of(fit: Fit, person: PointModel, points: np.ndarray, intrinsics: Intrinsics) -> HeadPose:
    """Return the fit as poses, landmarks and the mean mesh in head coordinates.

    Args:
        fit: Of a model restricted to MediaPipe's points.
        person: That model.
        points: What was seen, pixels, [T,478,2 or more].
        intrinsics: The camera; its focal length is replaced by the fit's.
    """
    unknowns = fit.unknowns
    camera = replace(intrinsics, focal=fit.focal)
    usual = np.median(unknowns.expression.numpy(), axis=0)
    basis = person.expression_basis.numpy()
    neutral = neutral_shape(person, unknowns).numpy()
    shape = neutral + np.tensordot(usual, basis, 1)
    convention = convention_of(shape)
    poses = convention.poses(unknowns.rotation.numpy(), unknowns.translation.numpy())
    landmarks = neutral[MESH_OF_68] + np.tensordot(unknowns.expression.numpy(), basis[:, MESH_OF_68], 1)
    landmarks = landmarks + _towards_rays(fit, landmarks, np.asarray(points, np.float64)[:, MESH_OF_68, :2], camera)
    shape = convention.points(shape)
    rigid = np.flatnonzero(fit.stillness > 0.5)
    seen = (shape[rigid], np.asarray(points, np.float64)[:, rigid, :2], fit.stillness[rigid], camera)
    return HeadPose(
        c2w=c2w_from_world_to_camera(poses.rotation, poses.translation).astype(np.float32),
        lm3d=(100 * convention.points(landmarks)).astype(np.float32),
        intrinsics=camera,
        shape=shape,
        rigid_weights=np.where(fit.stillness > 0.5, fit.stillness, 0.0),
        reprojection_px=reprojection_error(poses, *seen),
        expression=unknowns.expression.numpy().astype(np.float32),
        identity=unknowns.identity.numpy().astype(np.float32),
        information=convention.information(fit.information, poses),
    )
