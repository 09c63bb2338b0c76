"""Robust Gauss-Newton on all unknowns together; each frame's own are eliminated, so a clip costs seconds.

The normal equations have one block a frame (pose and expression) and one border (identity and focal length) that all
frames share; the border is solved first, on its Schur complement.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modules.face.tracker.problem import (
    PointModel,
    Seen,
    Unknowns,
    basis_columns,
    pose_columns,
    predict,
    rotation_of,
)

_CHUNK_FRAMES = 96
_FOCAL_STEP = 0.15
"""Longest step of the logarithm of the focal length."""


@dataclass(frozen=True)
class Beliefs:
    """How far each part is believed before anything is seen: standard deviations."""

    noise_px: float
    """Of a landmark, already larger than the true noise because neighbours err together; pixels."""
    huber: float = 2.0
    """Residuals above so many times the noise count linearly."""
    expression: float = 0.35
    below_range: float = 0.03
    """Of an expression coefficient outside the model's range: leaving it is hard, not forbidden."""
    identity: float = 1.0
    offset_m: float = 0.0015
    focal: float = 0.5
    """Of the logarithm of the focal length around the prior; 0 holds it."""


def solve_frames(
    model: PointModel,
    unknowns: Unknowns,
    seen: Seen,
    beliefs: Beliefs,
    *,
    iterations: int,
    threads: int = 1,
    with_pose: bool = True,
) -> tuple[Unknowns, Tensor]:
    """Return the unknowns with poses and expressions fitted, and the information [T,6,6] about each pose.

    Expressions are marginalized out of the information. ``with_pose=False`` holds the poses.
    """

    def solve(start: int) -> tuple[Unknowns, Tensor]:
        chunk = slice(start, start + _CHUNK_FRAMES)
        return _solve_chunk(model, unknowns.take(chunk), seen.take(chunk), beliefs, iterations, with_pose)

    with ThreadPoolExecutor(threads) as pool:
        solved = list(pool.map(solve, range(0, len(seen.pixels), _CHUNK_FRAMES)))
    parts, information = [part for part, _ in solved], [about for _, about in solved]
    joined = replace(
        unknowns,
        rotation=torch.cat([part.rotation for part in parts]),
        translation=torch.cat([part.translation for part in parts]),
        expression=torch.cat([part.expression for part in parts]),
    )
    return joined, torch.cat(information)


def _solve_chunk(
    model: PointModel, part: Unknowns, seen: Seen, beliefs: Beliefs, iterations: int, with_pose: bool
) -> tuple[Unknowns, Tensor]:
    normal = torch.empty(0)
    for _ in range(iterations):
        columns, residual, weights = _linearized(model, part, seen, beliefs)
        normal, right = _frame_system(columns, residual, weights, part.expression, model, beliefs)
        part = _moved(part, _solved(normal, right, with_pose).to(part.translation.dtype))
    return part, _pose_information(normal)


def solve_together(
    model: PointModel, unknowns: Unknowns, seen: Seen, beliefs: Beliefs, *, prior_log_focal: float, iterations: int
) -> Unknowns:
    """Return identity, focal length, poses, expressions and offsets fitted to some frames at once."""
    for _ in range(iterations):
        columns, residual, weights = _linearized(model, unknowns, seen, beliefs)
        prediction = predict(model, unknowns)
        border = basis_columns(prediction, unknowns.rotation, model.identity_basis)
        border = torch.cat([border, prediction.pixels[..., None]], dim=-1)
        shared, step = _bordered(columns, border, residual, weights, unknowns, model, beliefs, prior_log_focal)
        shorter = float((_FOCAL_STEP / shared[-1].abs()).clamp(max=1.0))  # distances must follow the focal length
        unknowns = _moved(unknowns, shorter * step)
        unknowns = replace(
            unknowns,
            identity=unknowns.identity + shorter * shared[:-1],
            log_focal=unknowns.log_focal + shorter * shared[-1],
        )
        unknowns = replace(unknowns, offset=solve_offsets(model, unknowns, seen, beliefs))
    return unknowns


def _linearized(model: PointModel, unknowns: Unknowns, seen: Seen, beliefs: Beliefs) -> tuple[Tensor, Tensor, Tensor]:
    """Return columns [T,2N,6+E] of each frame's own unknowns, residuals [T,2N] and weights [T,2N]."""
    prediction = predict(model, unknowns)
    columns = torch.cat(
        [pose_columns(prediction), basis_columns(prediction, unknowns.rotation, model.expression_basis)], dim=-1
    )
    residual = seen.pixels - prediction.pixels
    size = residual.norm(dim=-1) / beliefs.noise_px
    weights = seen.confidence / beliefs.noise_px**2 / (size / beliefs.huber).clamp(min=1.0)
    frames = len(residual)
    return columns.reshape(frames, -1, columns.shape[-1]), residual.reshape(frames, -1), weights.repeat_interleave(2, 1)


def _frame_system(
    columns: Tensor, residual: Tensor, weights: Tensor, expression: Tensor, model: PointModel, beliefs: Beliefs
) -> tuple[Tensor, Tensor]:
    """Return each frame's normal matrix [T,6+E,6+E] and right side [T,6+E], beliefs included."""
    weighted = (columns * weights[..., None]).transpose(1, 2)
    normal = (weighted @ columns).double()
    right = (weighted @ residual[..., None])[..., 0].double()
    low, high = model.expression_range
    belief = torch.full_like(expression, beliefs.expression**-2)
    right[:, 6:] -= belief * expression
    outside = torch.where(expression < low, expression - low, torch.where(expression > high, expression - high, 0.0))
    right[:, 6:] -= outside * beliefs.below_range**-2
    belief = belief + (outside != 0) * beliefs.below_range**-2
    normal.diagonal(dim1=1, dim2=2)[:, 6:] += belief
    return normal, right


def _solved(normal: Tensor, right: Tensor, with_pose: bool) -> Tensor:
    """Return the step [T,6+E]; poses stay where they are not to be solved."""
    if with_pose:
        return torch.linalg.solve(normal, right)
    step = torch.zeros_like(right)
    step[:, 6:] = torch.linalg.solve(normal[:, 6:, 6:], right[:, 6:])
    return step


def _pose_information(normal: Tensor) -> Tensor:
    """Return the information [T,6,6] about the pose when the expression is not known either."""
    return normal[:, :6, :6] - normal[:, :6, 6:] @ torch.linalg.solve(normal[:, 6:, 6:], normal[:, 6:, :6])


def _bordered(
    columns: Tensor,
    border: Tensor,
    residual: Tensor,
    weights: Tensor,
    unknowns: Unknowns,
    model: PointModel,
    beliefs: Beliefs,
    prior_log_focal: float,
) -> tuple[Tensor, Tensor]:
    """Return the steps of the shared unknowns [K+1] and of the frames' own [T,6+E]."""
    normal, right = _frame_system(columns, residual, weights, unknowns.expression, model, beliefs)
    border = border.reshape(*columns.shape[:2], -1)
    weighted = border * weights[..., None]
    cross = columns.transpose(1, 2) @ weighted
    shared = torch.einsum("tis,tir->sr", weighted, border)
    shared_right = torch.einsum("tis,ti->s", weighted, residual)
    belief = torch.cat([unknowns.identity.new_full((len(unknowns.identity),), beliefs.identity**-2),
                        unknowns.identity.new_full((1,), max(beliefs.focal, 1e-4) ** -2)])  # fmt: skip
    apart = torch.cat([unknowns.identity, (unknowns.log_focal - prior_log_focal)[None]])
    shared.diagonal().add_(belief)
    shared_right -= belief * apart
    eliminated = torch.linalg.solve(normal, torch.cat([cross, right[..., None]], dim=-1))
    schur = shared - torch.einsum("tis,tir->sr", cross, eliminated[..., :-1])
    rest = shared_right - torch.einsum("tis,ti->s", cross, eliminated[..., -1])
    step = torch.linalg.solve(schur, rest)
    return step, eliminated[..., -1] - eliminated[..., :-1] @ step


def solve_offsets(model: PointModel, unknowns: Unknowns, seen: Seen, beliefs: Beliefs) -> Tensor:
    """Return every point's own offset [N,3]: where its rays meet best, held near none."""
    prediction = predict(model, unknowns)
    by_head = prediction.by_point @ unknowns.rotation[:, None]
    residual = seen.pixels - prediction.pixels
    size = residual.norm(dim=-1) / beliefs.noise_px
    weights = seen.confidence / beliefs.noise_px**2 / (size / beliefs.huber).clamp(min=1.0)
    normal = torch.einsum("tn,tnki,tnkj->nij", weights, by_head, by_head)
    right = torch.einsum("tn,tnki,tnk->ni", weights, by_head, residual)
    belief = beliefs.offset_m**-2 * torch.eye(3, dtype=normal.dtype)
    right = right - unknowns.offset * beliefs.offset_m**-2
    return unknowns.offset + torch.linalg.solve(normal + belief, right)


def _moved(unknowns: Unknowns, step: Tensor) -> Unknowns:
    turn = step[:, :3]
    turn = turn * (0.3 / turn.norm(dim=1, keepdim=True).clamp(min=0.3))
    return replace(
        unknowns,
        rotation=rotation_of(turn) @ unknowns.rotation,
        translation=unknowns.translation + step[:, 3:6],
        expression=unknowns.expression + step[:, 6:],
    )
