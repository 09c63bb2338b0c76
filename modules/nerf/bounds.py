"""The box around a head, in metres of head coordinates, found from masks and landmarks of training frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from modules.nerf.occupancy import OccupancyGrid
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics

_MARGIN = 0.008
_DEPTH_PER_WIDTH = 1.15


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
