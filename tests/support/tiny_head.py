"""A small head that learns one frame of the drawn person in seconds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modules.nerf.bounds import intrinsics_of
from modules.nerf.conditions import stored_condition
from modules.nerf.model import HeadModel
from modules.nerf.sampling import camera_rays
from utils.commons.runtime import seeded_generator
from utils.data.person_store import PersonStore

SMALL = {"plane_sizes": (16, 32), "blend_size": 24, "warp_grid_size": 24, "grid_size": 32, "step_size": 0.008}


def camera_of(store: PersonStore, frame: int) -> Tensor:
    return torch.tensor(np.asarray(store.c2w[frame]))


def learn(head: HeadModel, store: PersonStore, *, steps: int, frame: int = 3) -> float:
    """Teach the head one frame from every second pixel; return the last step's psnr of color times opacity in dB."""
    cond = stored_condition(store, frame, window=1, smoothing=5)[None]
    rows, columns = torch.arange(64).repeat_interleave(64)[::2], torch.arange(64).repeat(64)[::2]
    rays = camera_rays(camera_of(store, frame)[None], intrinsics_of(store), rows, columns)
    target = torch.tensor(store.gt(frame)[rows, columns] / 255.0).float()
    alpha = torch.tensor(store.masks(frame)[rows, columns, 0] / 255.0).float()
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    error = torch.ones(())
    for step in range(steps):
        phase = torch.rand(len(rows), generator=seeded_generator(step))
        seen = head.renderer.render_rays(rays, head.frame(cond), phase=phase)
        error = (seen.rgb - target * alpha[:, None]).square().mean()
        loss = error + 0.1 * (seen.opacity - alpha).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(-10 * torch.log10(error.detach()))
