"""The box around a head, in metres of head coordinates, found from masks and landmarks of training frames."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor
from torch.nn import functional as F

from modules.nerf.occupancy import OccupancyGrid
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics

_MARGIN = 0.008
_DEPTH_PER_WIDTH = 1.15
_FACE_FRONT, _FACE_BACK = 0.015, 0.025
"""How far a face may lie before and behind the mean landmarks, metres."""
_SKULL_FRONT, _SKULL_BACK = 0.01, 0.2
"""The same for hair and ears, about an ellipsoid; a nod shows the crown, far behind the forehead."""
_SKULL_HEIGHT = 1.25
_RIM_BEHIND = 0.02
"""How far the widest part of the skull lies behind the jaw's ends, metres."""
_EAR, _NOSE_ROOT = 0, 27


def intrinsics_of(store: PersonStore, image_size: int | None = None) -> Intrinsics:
    """Return the person's camera, for the stored picture size or another one."""
    manifest = store.manifest
    camera = Intrinsics(manifest.focal, manifest.cx, manifest.cy, manifest.height, manifest.width)
    if image_size is None or image_size == manifest.height:
        return camera
    return camera.resized(image_size, round(image_size * manifest.width / manifest.height))


def head_bounds(store: PersonStore, *, max_frames: int = 24) -> Tensor:
    """Return the aabb [2,3] (lower and upper corner) that holds the head with its hair in all frames looked at.

    Width and height come from the head masks carried to the depth of the head's origin; the depth from the foremost
    landmark back by a little more than the width (the back of a head is never seen).
    """
    frames = store.indices("train")
    if len(frames) == 0:
        raise DataError(f"{store.root} has no training frame with a face; process another video")
    picked = frames[np.linspace(0, len(frames) - 1, min(max_frames, len(frames))).astype(int)]
    boxes = [box for box in (_frontal_box(store, int(frame)) for frame in picked) if box is not None]
    if not boxes:
        raise DataError(f"{store.root}: no head in the masks of {len(picked)} training frames; process the video again")
    lower = np.min([box[0] for box in boxes], axis=0) - _MARGIN
    upper = np.max([box[1] for box in boxes], axis=0) + _MARGIN
    front = float(np.asarray(store.lm3d)[picked][..., 2].max()) / 100 + 2 * _MARGIN
    depth = max(_DEPTH_PER_WIDTH * float(upper[0] - lower[0]), 0.12)
    return torch.tensor(np.array([[*lower, front - depth], [*upper, front]]), dtype=torch.float32)


def _frontal_box(store: PersonStore, frame: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the corners (x, y) of the head mask's box in metres on the plane z = 0 of head coordinates."""
    rows, columns = np.nonzero(store.masks(frame)[..., 0] > 64)
    if len(rows) == 0:
        return None
    camera = intrinsics_of(store)
    c2w = np.asarray(store.c2w[frame], np.float64)
    x = np.array([columns.min(), columns.max() + 1])
    y = np.array([rows.min(), rows.max() + 1])
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    directions = np.stack(
        [(pixels[:, 0] - camera.cx) / camera.focal, -(pixels[:, 1] - camera.cy) / camera.focal, -np.ones(4)], axis=-1
    )
    directions = directions @ c2w[:3, :3].T
    points = c2w[:3, 3] - directions * (c2w[2, 3] / directions[:, 2:])
    return points[:, :2].min(axis=0), points[:, :2].max(axis=0)


@torch.no_grad()
def carve_by_masks(
    occupancy: OccupancyGrid, aabb: Tensor, store: PersonStore, *, max_frames: int = 12, agreement: float = 0.25
) -> None:
    """Clear the cells that fall outside the grown head mask in all but a share ``agreement`` of some frames."""
    frames = store.indices("train")
    picked = frames[np.linspace(0, len(frames) - 1, min(max_frames, len(frames))).astype(int)]
    camera = intrinsics_of(store)
    metres = (occupancy.centers() + 1) * 0.5 * (aabb[1] - aabb[0]) + aabb[0]
    votes = torch.zeros(len(metres))
    for frame in picked:
        mask = torch.from_numpy(store.masks(int(frame))[..., 0] > 16).float()[None, None]
        reach = 2 * round(0.02 * camera.height) + 1
        mask = F.max_pool2d(mask, reach, stride=1, padding=reach // 2)[0, 0]
        c2w = torch.from_numpy(np.array(store.c2w[frame], np.float32))
        seen = (metres - c2w[:3, 3]) @ c2w[:3, :3]
        scale = -camera.focal / seen[:, 2]
        column = (seen[:, 0] * scale + camera.cx).long().clamp(0, camera.width - 1)
        row = (camera.cy - seen[:, 1] * scale).long().clamp(0, camera.height - 1)
        votes += mask[row, column]
    occupancy.restrict(votes >= agreement * len(picked))


@torch.no_grad()
def carve_by_landmarks(occupancy: OccupancyGrid, aabb: Tensor, lm3d_mean: Tensor) -> None:
    """Clear the cells far from where a head with the mean landmarks [68,3] (cm) has its surface.

    Rays then find the true depth at once: a wrong one fits most frames too, with poses bent to it, but not new ones.
    """
    metres = ((occupancy.centers() + 1) * 0.5 * (aabb[1] - aabb[0]) + aabb[0]).numpy()
    points = lm3d_mean.double().numpy() / 100
    size = occupancy.grid_size
    columns = metres.reshape(size, -1, 3)[0, :, :2]
    face = LinearNDInterpolator(points[:, :2], points[:, 2])(columns)
    known = ~np.isnan(face)
    surface = np.where(known, face, _skull_depth(columns, points, aabb.double().numpy()))
    front = np.where(known, _FACE_FRONT, _SKULL_FRONT)
    back = np.where(known, _FACE_BACK, _SKULL_BACK)
    behind = np.tile(surface, size) - metres[:, 2]
    occupancy.restrict(torch.from_numpy((behind > -np.tile(front, size)) & (behind < np.tile(back, size))))


def _skull_depth(columns: np.ndarray, points: np.ndarray, aabb: np.ndarray) -> np.ndarray:
    """Return the depth [N] of an ellipsoid's front at frontal places [N,2], and beside it that of its rim.

    The rim lies in the plane of the ears (the jaw's ends), the front in that of the nose's root, the top at the box's.
    """
    ears = points[[_EAR, 16 - _EAR]].mean(axis=0)
    radius = np.array([0.5, 0.5 * _SKULL_HEIGHT]) * (aabb[1, 0] - aabb[0, 0])
    center = np.array([ears[0], aabb[1, 1] - radius[1]])
    inside = 1 - np.square((columns - center) / radius).sum(axis=1)
    rim = ears[2] - _RIM_BEHIND
    depth: np.ndarray = rim + (points[_NOSE_ROOT, 2] - rim) * np.sqrt(inside.clip(min=0))
    return depth
