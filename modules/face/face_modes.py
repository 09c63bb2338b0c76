"""The few ways in which faces mostly move and mostly differ: nuisances of a pose seen on the skin.

Raised brows pull the forehead up by millimetres; taken for a nod, that is half a degree. The modes are the principal
components, on the surface in question, of the open head's named actions with both sides of the face moved alike:
one-sided ones would explain away turns and tilts.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator

from modules.face.rigid_shape import similarity
from modules.face.tracker.fit import mediapipe_head

_USUAL_WEIGHT = 0.35
"""Standard deviation of an action's weight."""
_MESH = 468
"""MediaPipe's points without the irises."""


def expression_modes(shape: np.ndarray, points: np.ndarray, count: int) -> np.ndarray:
    """Return displacements [K,N,3] in metres of points on a face, one standard deviation of each mode; K <= ``count``.

    Args:
        shape: The person's mean mesh in head coordinates, [478,3], metres.
        points: On that mesh's surface, [N,3]; those beyond its edge do not move.
        count: Modes wanted; none gives [0,N,3].
    """
    head = mediapipe_head()
    actions = _both_sides(head.expression_names, head.expression_basis.astype(np.float64))
    return _components(_on_surface(_USUAL_WEIGHT * actions, shape, points), count)


def identity_modes(shape: np.ndarray, points: np.ndarray, count: int) -> np.ndarray:
    """Return how faces differ from each other at points on one of them; as :func:`expression_modes`.

    Moves, turns and other sizes of the whole are left out: they are the pose's.
    """
    moved = _on_surface(mediapipe_head().identity_basis.astype(np.float64), shape, points)
    centred = points - points.mean(axis=0)
    axes = np.eye(3)
    whole = [np.cross(axis, centred) for axis in axes] + [np.broadcast_to(axis, points.shape) for axis in axes]
    frame = np.linalg.qr(np.stack([*whole, centred]).reshape(7, -1).T)[0]
    flat = moved.reshape(len(moved), -1)
    return _components((flat - flat @ frame @ frame.T).reshape(moved.shape), count)


def _on_surface(basis: np.ndarray, shape: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return displacements [B,478,3] of the open head's points as those of points [N,3] on a person's face."""
    mean = mediapipe_head().mean.astype(np.float64)
    scale, turn, _ = similarity(mean[None], shape, np.ones(len(shape)))
    mesh = (scale[0] * basis @ turn[0].T)[:, :_MESH].transpose(1, 0, 2).reshape(_MESH, -1)
    moved = LinearNDInterpolator(shape[:_MESH, :2], mesh, fill_value=0.0)(points[:, :2])
    return moved.reshape(len(points), len(basis), 3).transpose(1, 0, 2)


def _components(moved: np.ndarray, count: int) -> np.ndarray:
    """Return the principal components [K,N,3] of displacements [B,N,3], each as large as it is."""
    _, sizes, modes = np.linalg.svd(moved.reshape(len(moved), -1), full_matrices=False)
    found: np.ndarray = (sizes[:count, None] * modes[:count]).reshape(-1, *moved.shape[1:])
    return found


def _both_sides(names: tuple[str, ...], basis: np.ndarray) -> np.ndarray:
    """Return actions [A,V,3], those of left and right joined to one."""
    pairs: dict[str, np.ndarray] = {}
    for name, moved in zip(names, basis, strict=True):
        pair = name.removesuffix("Left").removesuffix("Right")
        pairs[pair] = pairs.get(pair, 0.0) + moved
    return np.stack(list(pairs.values()))
