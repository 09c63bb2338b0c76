"""The few ways in which a face's surface mostly moves when it speaks and looks: nuisances of a pose seen on its skin.

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
    scale, turn, _ = similarity(head.mean[None].astype(np.float64), shape, np.ones(len(shape)))
    actions = _both_sides(head.expression_names, head.expression_basis.astype(np.float64))
    actions = _USUAL_WEIGHT * scale[0] * actions @ turn[0].T
    mesh = actions[:, :_MESH].transpose(1, 0, 2).reshape(_MESH, -1)
    moved = LinearNDInterpolator(shape[:_MESH, :2], mesh, fill_value=0.0)(points[:, :2])
    moved = moved.reshape(len(points), len(actions), 3).transpose(1, 0, 2)
    _, sizes, modes = np.linalg.svd(moved.reshape(len(actions), -1), full_matrices=False)
    found: np.ndarray = (sizes[:count, None] * modes[:count]).reshape(-1, len(points), 3)
    return found


def _both_sides(names: tuple[str, ...], basis: np.ndarray) -> np.ndarray:
    """Return actions [A,V,3], those of left and right joined to one."""
    pairs: dict[str, np.ndarray] = {}
    for name, moved in zip(names, basis, strict=True):
        pair = name.removesuffix("Left").removesuffix("Right")
        pairs[pair] = pairs.get(pair, 0.0) + moved
    return np.stack(list(pairs.values()))
