"""Head and torso as trained and saved: a field with its occupancy grid, and a torso picture."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from modules.nerf.conditions import Conditions, landmark_conditions
from modules.nerf.fields.head import FrameState, HeadField, HeadFieldConfig
from modules.nerf.fields.torso import TorsoConfig, TorsoField, picture_positions, pose_vector
from modules.nerf.occupancy import OccupancyGrid
from modules.nerf.renderers.torch_renderer import FrameOutput, RenderConfig, TorchRenderer
from modules.nerf.super_resolution import SuperResolution, enlarge, shrunk
from modules.registry import resolve
from utils.commons.schema import Config
from utils.geometry.cameras import Intrinsics


class HeadConfig(HeadFieldConfig, RenderConfig):
    """A head field and how it is rendered."""

    field: str = "triplane"
    """Registered name of the head field."""
    renderer: str = "torch"
    """Registered name of the renderer."""


class HeadModel(nn.Module):
    """A head that renders itself from landmarks and a camera."""

    config_cls: ClassVar[type[Config]] = HeadConfig

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.field: HeadField = resolve("field", config.field)(config)
        self.occupancy = OccupancyGrid(config.grid_size)
        self.renderer: TorchRenderer = resolve("renderer", config.renderer)(self.field, self.occupancy, config)

    def conditions(self, lm3d: Tensor) -> Conditions:
        """Return the condition [S,W,204] of every frame of a sequence [T,68,3] in cm."""
        return landmark_conditions(
            lm3d,
            self.field.lm3d_mean,
            self.field.lm3d_std,
            window=self.config.cond_win_size,
            smoothing=self.config.smo_win_size,
        )

    def frame(self, cond: Tensor, *, code_noise: Tensor | None = None) -> FrameState:
        """Return the field's state of frames with conditions [F,S,W,204]."""
        return self.field.frame(cond, code_noise=code_noise)


class TorsoModel(nn.Module):
    """A torso layer that follows the head's pose."""

    config_cls: ClassVar[type[Config]] = TorsoConfig

    def __init__(self, config: TorsoConfig) -> None:
        super().__init__()
        self.config = config
        self.field = TorsoField(config)

    def draw_frame(self, c2w: Tensor, camera: Intrinsics) -> tuple[Tensor, Tensor]:
        """Return premultiplied color [H*W,3] and opacity [H*W] of the torso seen with the head at ``c2w`` [4,4]."""
        rows = torch.arange(camera.height, device=c2w.device).repeat_interleave(camera.width)
        columns = torch.arange(camera.width, device=c2w.device).repeat(camera.height)
        positions = picture_positions(rows, columns, camera.height, camera.width)
        return self.field.draw(positions, self.field.frame(pose_vector(c2w)[None]), [len(positions)])


def compose_frame(
    head: HeadModel, torso: TorsoModel | None, *, cond: Tensor, c2w: Tensor, camera: Intrinsics, background: Tensor
) -> tuple[Tensor, FrameOutput]:
    """Return one picture [H,W,3] in [0,1] (head over torso over background) and what the head's rays saw.

    Args:
        head: The head.
        torso: The torso, or none: then the head stands before the background.
        cond: Condition of the frame, [S,W,204].
        c2w: Camera, [4,4].
        camera: Intrinsics of the picture wanted.
        background: [H,W,3] in [0,1].
    """
    state = head.frame(cond[None])
    return compose_state(head, torso, state=state, c2w=c2w, camera=camera, background=background)


def compose_state(
    head: HeadModel,
    torso: TorsoModel | None,
    *,
    state: FrameState,
    c2w: Tensor,
    camera: Intrinsics,
    background: Tensor,
    scale: int = 1,
    sr: SuperResolution | None = None,
) -> tuple[Tensor, FrameOutput]:
    """Return what :func:`compose_frame` does, of the head's ``state`` of one frame.

    With a ``scale`` above 1 the head is drawn that many times smaller (that is what is returned of it) and enlarged, by
    the network ``sr`` if there is one.
    """
    seen = head.renderer.render_frame(state, c2w, shrunk(camera, scale))
    picture = compose_front(seen, torso, c2w=c2w, camera=camera, background=background, scale=scale, sr=sr)
    return picture, seen


def compose_front(
    seen: FrameOutput,
    torso: TorsoModel | None,
    *,
    c2w: Tensor,
    camera: Intrinsics,
    background: Tensor,
    scale: int,
    sr: SuperResolution | None,
) -> Tensor:
    """Return the picture [H,W,3] of a head drawn ``scale`` times smaller, over torso and background."""
    front = full_size(seen, camera, scale, sr)
    picture = background.reshape(-1, 3)
    if torso is not None:
        rgb, alpha = torso.draw_frame(c2w, camera)
        picture = torch.addcmul(rgb, 1 - alpha[:, None], picture)
    picture = torch.addcmul(front[:, :3], 1 - front[:, 3:], picture)
    return picture.clamp(0, 1).view(camera.height, camera.width, 3)


def full_size(seen: FrameOutput, camera: Intrinsics, scale: int, sr: SuperResolution | None) -> Tensor:
    """Return color times opacity and opacity [H*W,4] of a head drawn ``scale`` times smaller."""
    front = torch.cat([seen.rgb, seen.opacity[:, None]], dim=1)
    if scale == 1:
        return front
    small = shrunk(camera, scale)
    picture = front.t().reshape(1, 4, small.height, small.width)
    large = enlarge(picture, scale) if sr is None else sr(picture)
    return large[0, :, : camera.height, : camera.width].permute(1, 2, 0).reshape(-1, 4)


def to_uint8(picture: Tensor) -> Tensor:
    """Return a picture in [0,1] as uint8, rounded."""
    return (picture * 255 + 0.5).to(torch.uint8)
