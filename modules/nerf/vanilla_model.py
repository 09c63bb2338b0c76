"""Rays and whole pictures of a vanilla head and torso: the head before the background, the torso before both.

The torso stands in the camera of one fixed frame of the clip and is told where the head is (specification 5.5).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modules.nerf.fields.torso import pose_vector
from modules.nerf.fields.vanilla import VanillaHead, VanillaTorso
from modules.nerf.renderers.hierarchical import Blend, render_hierarchical
from modules.nerf.sampling import Rays, camera_rays
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics

CHUNK_RAYS = 1024
"""Rays of a picture evaluated together: a bound on memory."""
_REACH_M, _NEAREST_M = 0.3, 0.05


def reference_camera(store: PersonStore) -> Tensor:
    """Return the camera [4,4] the person's torso stands in: that of the first training frame."""
    return torch.from_numpy(np.array(store.c2w[int(store.indices("train")[0])], np.float32))


def depth_range(store: PersonStore) -> tuple[float, float]:
    """Return near and far, metres: 0.3 m before and behind the head as it usually stands."""
    c2w = np.asarray(store.c2w, np.float64)[store.indices("train")]
    depth = float(np.median(np.einsum("tij,ti->tj", c2w[:, :3, :3], c2w[:, :3, 3])[:, 2]))
    return round(max(_NEAREST_M, depth - _REACH_M), 3), round(depth + _REACH_M, 3)


def per_ray(code: Tensor, rays: Rays) -> Tensor:
    """Return the code of each ray's frame, [N,C] of [F,C]."""
    return code.repeat_interleave(torch.tensor(rays.counts, device=code.device), dim=0)


def head_blends(head: VanillaHead, rays: Rays, code: Tensor, *, jitter: Tensor | None = None) -> tuple[Blend, Blend]:
    """Return what rays see of the head, coarse and fine; ``code`` [F,C] is that of their frames."""
    networks = (head.model_coarse, head.model_fine)
    cond = per_ray(code, rays)
    return render_hierarchical(networks, rays.origins, rays.directions, cond, config=head.config, jitter=jitter)


def torso_code(torso: VanillaTorso, speech: Tensor, c2w: Tensor) -> Tensor:
    """Return the code [F,C] of frames with speech windows [F,S,W,C] and cameras [F,4,4]."""
    return torso.encode(speech, pose_vector(c2w)[..., :3], c2w[..., :3, 3])


def torso_blends(
    torso: VanillaTorso, rays: Rays, code: Tensor, head_rgb: Tensor, *, jitter: Tensor | None = None
) -> tuple[Blend, Blend]:
    """Return what rays of the reference camera see of the torso, coarse and fine.

    Args:
        torso: The torso.
        rays: N rays.
        code: Of their frames, [F,C].
        head_rgb: What the same pixels show of head and background, [N,3].
        jitter: Offset of each ray's samples, [N].
    """
    networks = (torso.model_coarse, torso.model_fine)
    cond = torso.with_color(per_ray(code, rays), head_rgb)
    return render_hierarchical(networks, rays.origins, rays.directions, cond, config=torso.config, jitter=jitter)


def compose_vanilla_frame(
    head: VanillaHead,
    torso: VanillaTorso | None,
    *,
    cond: Tensor,
    speech: Tensor | None,
    c2w: Tensor,
    reference: Tensor,
    camera: Intrinsics,
    background: Tensor,
) -> Tensor:
    """Return one picture [H,W,3] in [0,1].

    Args:
        head: The head.
        torso: The torso, or none.
        cond: The head's condition, [S,W,C].
        speech: The torso's condition, [S,W,C].
        c2w: Camera, [4,4].
        reference: Camera of the torso, [4,4].
        camera: Intrinsics of the picture wanted.
        background: [H,W,3] in [0,1].
    """
    head_code = head.encode(cond[None])
    body_code = None
    if torso is not None:
        assert speech is not None
        body_code = torso_code(torso, speech[None], c2w[None])
    behind = background.reshape(-1, 3)
    parts = []
    for pixels in torch.arange(len(behind), device=c2w.device).split(CHUNK_RAYS):
        rows, columns = pixels.div(camera.width, rounding_mode="floor"), pixels % camera.width
        rays = camera_rays(c2w[None], camera, rows, columns)
        picture = head_blends(head, rays, head_code)[1].over(behind[pixels])
        if torso is not None and body_code is not None:
            rays = camera_rays(reference[None], camera, rows, columns)
            picture = torso_blends(torso, rays, body_code, picture)[1].over(picture)
        parts.append(picture)
    return torch.cat(parts).clamp(0, 1).view(camera.height, camera.width, 3)
