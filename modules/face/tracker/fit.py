"""Tracks a clip with the open head: its camera, its one person, and the pose and expression of every frame.

Steps: a pose of every frame from points that keep still (PnP); identity, offsets and focal length with the poses and
expressions of some dozens of frames at once; then pose and expression of all frames, each on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from modules.face.landmarks68 import FACE_OVAL, LEFT_EYE, MESH_OF_68, RIGHT_EYE
from modules.face.morphable.model import MorphableModel
from modules.face.morphable.open_head import load_open_head
from modules.face.rigid_shape import spread_frames
from modules.face.tracker.problem import PointModel, Seen, Unknowns, neutral_shape
from modules.face.tracker.solver import Beliefs, solve_frames, solve_offsets, solve_together
from utils.geometry.cameras import Intrinsics

NOISE_PX_AT_512 = 3.0
_SHARED_FRAMES, _ROUNDS, _FRAME_ITERATIONS = 60, 12, 5
_INDEPENDENT_FRAMES = 10.0
"""Frames err together: the frames fitted jointly count as so many independent ones against the beliefs."""
_OVAL_CONFIDENCE = 0.3
"""The oval slides along the cheek when the head turns."""
_STILL_BELOW_M, _STILL_GAIN = 0.003, 3.0
_MIN_PNP_POINTS = 8
_FITTED = torch.as_tensor(np.unique(np.concatenate([MESH_OF_68, LEFT_EYE, RIGHT_EYE, np.arange(0, 468, 3)])))
"""Points that are fitted: the named ones and every third of the rest; neighbours say the same again."""
_UNSEEN_ACTIONS = ("eyeLook", "tongueOut")
"""Actions that move none of the points fitted."""


@dataclass(frozen=True)
class Fit:
    """What was found of a clip."""

    unknowns: Unknowns
    information: np.ndarray
    """[T,6,6] about each pose, expression unknown."""
    stillness: np.ndarray
    """[N] 1 where no expression moves the point, towards 0 where much does."""

    @property
    def focal(self) -> float:
        """Pixels."""
        return round(float(self.unknowns.log_focal.exp()), 6)


def point_model(model: MorphableModel) -> PointModel:
    """Return a restricted model as tensors, its mean about the origin."""

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values, np.float64))

    middle = model.mean.mean(axis=0)
    seen = [not name.startswith(_UNSEEN_ACTIONS) for name in model.expression_names]
    return PointModel(
        tensor(model.mean - middle),
        tensor(model.identity_basis),
        tensor(model.expression_basis[seen]),
        model.expression_range,
    )


def stillness_of(model: MorphableModel) -> np.ndarray:
    """Return how little any expression moves each point, [N] in (0, 1]."""
    reach = np.linalg.norm(model.expression_basis, axis=-1).max(axis=0)
    still: np.ndarray = 1.0 / (1.0 + (reach / _STILL_BELOW_M) ** 2)
    return still


def confidence_of(stillness: np.ndarray) -> np.ndarray:
    """Return how far each of MediaPipe's points is believed, [478]."""
    confidence = 1.0 + _STILL_GAIN * stillness
    confidence[FACE_OVAL] = _OVAL_CONFIDENCE
    return confidence


def mediapipe_head() -> MorphableModel:
    """Return the open head at MediaPipe's 478 points."""
    return load_open_head().restricted("mediapipe478")


def fit_clip(
    model: MorphableModel,
    points: np.ndarray,
    valid: np.ndarray,
    intrinsics: Intrinsics,
    *,
    focal_spread: float = 0.0,
    threads: int = 1,
) -> Fit:
    """Return the fit of all frames; ``model`` is restricted to MediaPipe's points.

    Args:
        model: Its neutral shape and the points' offsets come out for all points; a part of them is fitted.
        points: Pixels, gaps filled, [T,N,2 or more].
        valid: Frames in which a face was found, [T].
        intrinsics: The camera; its focal length is where the search begins.
        focal_spread: Standard deviation of the logarithm of the focal length around it; 0 holds it.
    """
    stillness = stillness_of(model)
    person, seen = point_model(model), _seen(points, intrinsics, confidence_of(stillness))
    beliefs = Beliefs(NOISE_PX_AT_512 * intrinsics.height / 512, focal=focal_spread)
    some = torch.as_tensor(spread_frames(valid, _SHARED_FRAMES))
    fitted = _fit_shared(person, seen.take(some), stillness, beliefs, intrinsics.focal)
    start = _start(person, seen, stillness, float(fitted.log_focal.exp()), neutral_shape(person, fitted))
    start = replace(start, identity=fitted.identity, offset=fitted.offset, log_focal=fitted.log_focal)
    part = replace(start, offset=start.offset[_FITTED]).to(torch.float32)
    part, information = solve_frames(
        person.take(_FITTED).to(torch.float32), part, seen.points(_FITTED).to(torch.float32), beliefs,
        iterations=_FRAME_ITERATIONS, threads=threads,
    )  # fmt: skip
    found = part.to(torch.float64)
    found = replace(found, offset=start.offset, identity=start.identity, log_focal=start.log_focal)
    return Fit(found, information.double().numpy(), stillness)


def _fit_shared(person: PointModel, seen: Seen, stillness: np.ndarray, beliefs: Beliefs, focal: float) -> Unknowns:
    """Return identity, offsets of all points and focal length that suit some frames best."""
    start = _start(person, seen, stillness, focal)
    part_model, part_seen = person.take(_FITTED), seen.points(_FITTED)
    part = replace(start, offset=start.offset[_FITTED])
    part, _ = solve_frames(part_model, part, part_seen, beliefs, iterations=4)
    tempered = _tempered(beliefs, len(seen.pixels))
    part = solve_together(
        part_model, part, part_seen, tempered, prior_log_focal=float(np.log(focal)), iterations=_ROUNDS
    )
    if beliefs.focal == 0:
        part = replace(part, log_focal=start.log_focal)  # a step's rounding errors apart, it is there already
    whole = replace(part, offset=start.offset)
    for _ in range(3):
        whole = replace(whole, offset=solve_offsets(person, whole, seen, beliefs))
    return whole


def _tempered(beliefs: Beliefs, num_frames: int) -> Beliefs:
    """Return beliefs about what all frames share, held against ``num_frames`` frames that err together."""
    gain = max(1.0, num_frames / _INDEPENDENT_FRAMES) ** -0.5
    return replace(
        beliefs, identity=beliefs.identity * gain, offset_m=beliefs.offset_m * gain, focal=beliefs.focal * gain
    )


def _seen(points: np.ndarray, intrinsics: Intrinsics, confidence: np.ndarray) -> Seen:
    pixels = np.asarray(points, np.float64)[..., :2] - [intrinsics.cx, intrinsics.cy]
    return Seen(torch.as_tensor(pixels * [1.0, -1.0]), torch.as_tensor(confidence).expand(pixels.shape[:2]))


def _start(
    person: PointModel, seen: Seen, stillness: np.ndarray, focal: float, shape: torch.Tensor | None = None
) -> Unknowns:
    """Return poses by PnP from the points that keep still, and nothing of the rest."""
    still = np.argsort(stillness)[-max(_MIN_PNP_POINTS, len(stillness) // 4) :]
    object_points = np.ascontiguousarray((person.mean if shape is None else shape).numpy()[still])
    camera = np.diag([focal, focal, 1.0])
    flip = np.diag([1.0, -1.0, -1.0])
    rotations, translations = [], []
    for pixels in seen.pixels.numpy():
        image_points = np.ascontiguousarray(pixels[still] * [1.0, -1.0])
        _, vector, shift = cv2.solvePnP(object_points, image_points, camera, np.zeros(4), flags=cv2.SOLVEPNP_SQPNP)
        rotations.append(flip @ cv2.Rodrigues(vector)[0])
        translations.append(flip @ shift[:, 0])
    count = len(rotations)
    return Unknowns(
        torch.as_tensor(np.array(rotations)),
        torch.as_tensor(np.array(translations)),
        torch.zeros(count, len(person.expression_basis), dtype=torch.float64),
        torch.zeros(len(person.identity_basis), dtype=torch.float64),
        torch.zeros_like(person.mean),
        torch.tensor(float(np.log(focal)), dtype=torch.float64),
    )
