"""What a morphable head predicts of a clip's landmarks, and how that changes with each unknown.

A point is mean + identity + offset + expression in head coordinates, R x + t in camera coordinates (OpenGL: the camera
looks down -z), and seen at its pixel. Notation: T frames, N points, K identity and E expression coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class PointModel:
    """A morphable model of the landmarks alone, of one floating type."""

    mean: Tensor
    """[N,3] metres"""
    identity_basis: Tensor
    """[K,N,3]"""
    expression_basis: Tensor
    """[E,N,3]"""
    expression_range: tuple[float, float]

    def take(self, points: Tensor) -> PointModel:
        """Return the model of some points."""
        bases = self.identity_basis[:, points], self.expression_basis[:, points]
        return PointModel(self.mean[points], *bases, self.expression_range)

    def to(self, dtype: torch.dtype) -> PointModel:
        """Return the model in another floating type."""
        bases = self.identity_basis.to(dtype), self.expression_basis.to(dtype)
        return PointModel(self.mean.to(dtype), *bases, self.expression_range)


@dataclass(frozen=True)
class Unknowns:
    """All that is fitted; ``take`` and ``put`` work on frames."""

    rotation: Tensor
    """[T,3,3]"""
    translation: Tensor
    """[T,3] metres"""
    expression: Tensor
    """[T,E]"""
    identity: Tensor
    """[K] in standard deviations."""
    offset: Tensor
    """[N,3] what this person's points differ by from any identity of the model, metres."""
    log_focal: Tensor
    """[] of pixels."""

    def to(self, dtype: torch.dtype) -> Unknowns:
        """Return the unknowns in another floating type."""
        return Unknowns(*(getattr(self, field.name).to(dtype) for field in fields(self)))

    def take(self, frames: Tensor | slice) -> Unknowns:
        """Return the unknowns of some frames."""
        return replace(
            self,
            rotation=self.rotation[frames],
            translation=self.translation[frames],
            expression=self.expression[frames],
        )


@dataclass(frozen=True)
class Seen:
    """Landmarks in pixels from the principal point, y up, and how far each is believed."""

    pixels: Tensor
    """[T,N,2]"""
    confidence: Tensor
    """[T,N]"""

    def take(self, frames: Tensor | slice) -> Seen:
        """Return some frames."""
        return Seen(self.pixels[frames], self.confidence[frames])

    def points(self, points: Tensor) -> Seen:
        """Return some points."""
        return Seen(self.pixels[:, points], self.confidence[:, points])

    def to(self, dtype: torch.dtype) -> Seen:
        """Return the landmarks in another floating type."""
        return Seen(self.pixels.to(dtype), self.confidence.to(dtype))


@dataclass(frozen=True)
class Prediction:
    """Where the points are, and the derivatives all blocks share."""

    head: Tensor
    """[T,N,3] head coordinates."""
    turned: Tensor
    """[T,N,3] R x."""
    pixels: Tensor
    """[T,N,2]"""
    by_point: Tensor
    """[T,N,2,3] derivative of the pixel by the point in camera coordinates."""


def neutral_shape(model: PointModel, unknowns: Unknowns) -> Tensor:
    """Return the person's points without expression, [N,3]."""
    return model.mean + torch.einsum("k,knc->nc", unknowns.identity, model.identity_basis) + unknowns.offset


def predict(model: PointModel, unknowns: Unknowns) -> Prediction:
    """Return where the points are seen, and the derivatives by camera coordinates."""
    moved = torch.einsum("te,enc->tnc", unknowns.expression, model.expression_basis)
    head = neutral_shape(model, unknowns) + moved
    turned = head @ unknowns.rotation.transpose(1, 2)
    camera = turned + unknowns.translation[:, None]
    focal = unknowns.log_focal.exp()
    scale = focal / -camera[..., 2]
    pixels = camera[..., :2] * scale[..., None]
    by_point = camera.new_zeros(*camera.shape[:-1], 2, 3)
    by_point[..., 0, 0] = by_point[..., 1, 1] = scale
    by_point[..., :, 2] = pixels / -camera[..., 2:3]
    return Prediction(head, turned, pixels, by_point)


def pose_columns(prediction: Prediction) -> Tensor:
    """Return the derivative [T,N,2,6] by a small turn (applied after R) and a shift."""
    x, y, z = prediction.turned[..., None].unbind(dim=-2)
    bx, by, bz = prediction.by_point.unbind(dim=-1)
    turn = torch.stack([bz * y - by * z, bx * z - bz * x, by * x - bx * y], dim=-1)
    return torch.cat([turn, prediction.by_point], dim=-1)


def basis_columns(prediction: Prediction, rotation: Tensor, basis: Tensor) -> Tensor:
    """Return the derivative [T,N,2,B] by the coefficients of a basis [B,N,3] in head coordinates."""
    by_head = prediction.by_point @ rotation[:, None]
    return torch.einsum("tnij,bnj->tnib", by_head, basis)


def rotation_of(vector: Tensor) -> Tensor:
    """Return the matrices [T,3,3] that turn by rotation vectors [T,3]."""
    cross = vector.new_zeros(len(vector), 3, 3)
    x, y, z = vector.unbind(dim=-1)
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
    return torch.linalg.matrix_exp(cross)
