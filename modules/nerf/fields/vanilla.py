"""The fields of the original GeneFace and of AD-NeRF: two MLPs each, coarse and fine (specification 5.4 and 5.5).

Parameters carry the published names. Positions are in metres of head coordinates, not in a box.

Notation: F frames, N rays, S samples of a ray, C channels of a condition.
"""

from __future__ import annotations

import itertools
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from modules.nerf.cond_encoder import window_strides
from modules.nerf.conditions import ConditionConfig
from modules.nerf.precision import full_precision
from utils.commons.schema import Config

_POSITION_BANDS, _VIEW_BANDS, _POSE_BANDS = 10, 4, 6
_DEPTH, _SKIP = 8, 4
_COLOR_CODE = 16


def encoded_width(bands: int) -> int:
    """Return the numbers :func:`frequency_encoding` gives for a point in space."""
    return 3 + 6 * bands


@full_precision
def frequency_encoding(x: Tensor, bands: int) -> Tensor:
    """Return x, sin x, cos x, sin 2x, cos 2x, sin 4x, ... of [...,3], side by side: [..., 3 + 6*bands]."""
    parts = [x]
    for band in range(bands):
        parts += [torch.sin(x * 2.0**band), torch.cos(x * 2.0**band)]
    return torch.cat(parts, dim=-1)


class VanillaConfig(Config):
    """How the vanilla field is built and sampled; used with ``field: vanilla``."""

    vanilla_hidden_size: int = Field(256, ge=2)
    """Width of the density layers; the color layers have half of it."""
    n_samples_per_ray: int = Field(64, ge=3)
    """Coarse samples of a ray, evenly from near to far."""
    n_samples_per_ray_fine: int = Field(128, ge=1)
    """Samples added where the coarse ones found something."""
    near: float = Field(0.0, ge=0)
    """Depth of a ray's first sample, metres; near = far = 0 take 0.3 m to both sides of the head."""
    far: float = Field(0.0, ge=0)
    """Depth of a ray's last sample, which shows the background."""


class VanillaHeadConfig(VanillaConfig, ConditionConfig):
    """A vanilla head."""

    no_smo_iterations: int = Field(200000, ge=0)
    """Updates before the attention over neighbouring frames is switched on."""


class WindowEncoder(nn.Module):
    """Code [M,dim] of windows [M,W,C]."""

    def __init__(self, channels: int, *, dim: int, window: int) -> None:
        super().__init__()
        widths = (channels, 32, 32, 64, 64)
        layers: list[nn.Module] = []
        for (before, after), stride in zip(itertools.pairwise(widths), window_strides(window), strict=True):
            layers += [nn.Conv1d(before, after, 3, stride, 1), nn.LeakyReLU(0.02)]
        self.encoder_conv = nn.Sequential(*layers)
        self.encoder_fc1 = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.02), nn.Linear(64, dim))

    def forward(self, windows: Tensor) -> Tensor:
        return self.encoder_fc1(self.encoder_conv(windows.transpose(1, 2))[..., 0])


class NeighbourAttention(nn.Module):
    """A weighted mean [F,dim] of neighbouring codes [F,S,dim], the weights from the codes themselves."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((dim, 16, 8, 4, 2, 1)):
            layers += [nn.Conv1d(before, after, 3, 1, 1), nn.LeakyReLU(0.02)]
        self.attentionConvNet = nn.Sequential(*layers)
        self.attentionNet = nn.Sequential(nn.Linear(size, size), nn.Softmax(dim=1))

    def forward(self, codes: Tensor) -> Tensor:
        weights = self.attentionNet(self.attentionConvNet(codes.transpose(1, 2))[:, 0])
        return (codes * weights[..., None]).sum(dim=1)


class NerfMlp(nn.Module):
    """Raw color and density of samples: eight layers with the input again at the sixth, three more for the color."""

    def __init__(self, cond_channels: int, hidden: int) -> None:
        super().__init__()
        width, view = encoded_width(_POSITION_BANDS) + cond_channels, encoded_width(_VIEW_BANDS)
        inputs = [width] + [hidden + width if layer == _SKIP else hidden for layer in range(_DEPTH - 1)]
        self.density_linears = nn.ModuleList(nn.Linear(size, hidden) for size in inputs)
        self.density_out_linear = nn.Linear(hidden, 1)
        sizes = (hidden + view, hidden // 2, hidden // 2, hidden // 2)
        self.color_linears = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.color_out_linear = nn.Linear(hidden // 2, 3)

    def forward(self, positions: Tensor, cond: Tensor, view: Tensor) -> Tensor:
        """Return color before the sigmoid and density before the ReLU, [N,S,4].

        Args:
            positions: [N,S,3] metres.
            cond: Condition of each ray, [N,C].
            view: Unit direction of each ray, [N,3].
        """
        samples = positions.shape[1]
        place = frequency_encoding(positions, _POSITION_BANDS)
        x = torch.cat([place, cond[:, None].expand(-1, samples, -1)], dim=-1)
        hidden = x
        for number, layer in enumerate(self.density_linears):
            hidden = F.relu(layer(hidden))
            if number == _SKIP:
                hidden = torch.cat([x, hidden], dim=-1)
        density = self.density_out_linear(hidden)
        direction = frequency_encoding(view, _VIEW_BANDS)[:, None].expand(-1, samples, -1)
        color = torch.cat([hidden, direction], dim=-1)
        for layer in self.color_linears:
            color = F.relu(layer(color))
        return torch.cat([self.color_out_linear(color), density], dim=-1)


class VanillaHead(nn.Module):
    """A head from landmarks, or from speech (AD-NeRF); the code of a frame conditions every sample."""

    config_cls: ClassVar[type[Config]] = VanillaHeadConfig
    attention_on: Tensor

    def __init__(self, config: VanillaHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.model_coarse = NerfMlp(config.cond_dim, config.vanilla_hidden_size)
        self.model_fine = NerfMlp(config.cond_dim, config.vanilla_hidden_size)
        encoder = WindowEncoder(config.cond_in_dim, dim=config.cond_dim, window=config.cond_win_size)
        attention = NeighbourAttention(config.cond_dim, config.smo_win_size)
        if config.cond_type == "lm3d":
            self.lm_encoder, self.lmatt_encoder = encoder, attention
        else:
            self.aud_net, self.audatt_net = encoder, attention
        self.register_buffer("attention_on", torch.tensor(config.with_att and config.no_smo_iterations == 0))

    @full_precision
    def encode(self, cond: Tensor) -> Tensor:
        """Return the code [F,dim] of frames with conditions [F,S,W,C]."""
        names = ("lm_encoder", "lmatt_encoder") if self.config.cond_type == "lm3d" else ("aud_net", "audatt_net")
        encoder, attention = (getattr(self, name) for name in names)
        return encode_windows(encoder, attention if bool(self.attention_on) else None, cond)


def encode_windows(encoder: nn.Module, attention: nn.Module | None, cond: Tensor) -> Tensor:
    """Return the code [F,dim] of conditions [F,S,W,C]: smoothed over S, or of the middle window alone."""
    if attention is None:
        return encoder(cond[:, cond.shape[1] // 2])
    codes = encoder(cond.flatten(0, 1))
    return attention(codes.view(len(cond), cond.shape[1], -1))


class VanillaTorsoConfig(VanillaConfig):
    """A vanilla torso, the one of AD-NeRF: it follows the head's pose and breathes with the speech."""

    torso_cond_win_size: int = Field(16, ge=1, le=16)
    """Rows of speech features in a condition window."""
    torso_smo_win_size: int = Field(8, ge=1)
    """Neighbouring windows the attention looks at."""
    torso_cond_dim: int = Field(64, ge=1)
    """Width of the speech code."""
    torso_cond_speech: Literal["speech", "deepspeech"] = "speech"
    """Which speech features the torso is told: the dataset's own, or the DeepSpeech rows of an imported one."""
    torso_cond_in_dim: int = Field(0, ge=0)
    """Channels of a row of speech features; 0 takes those of the dataset."""
    use_color: bool = True
    """Tell the torso the color of the head behind each ray (GeneFace); AD-NeRF does not."""


class VanillaTorso(nn.Module):
    """A torso in the camera of one fixed frame, told speech, head pose and the head's color at each ray."""

    config_cls: ClassVar[type[Config]] = VanillaTorsoConfig

    def __init__(self, config: VanillaTorsoConfig) -> None:
        super().__init__()
        self.config = config
        if config.use_color:
            self.color_encoder = nn.Sequential(
                nn.Linear(3, 16), nn.LeakyReLU(0.02), nn.Linear(16, 32), nn.LeakyReLU(0.02), nn.Linear(32, _COLOR_CODE)
            )
        width = config.torso_cond_dim + 2 * encoded_width(_POSE_BANDS) + (_COLOR_CODE if config.use_color else 0)
        self.model_coarse = NerfMlp(width, config.vanilla_hidden_size)
        self.model_fine = NerfMlp(width, config.vanilla_hidden_size)
        dim = config.torso_cond_dim
        self.aud_net = WindowEncoder(config.torso_cond_in_dim, dim=dim, window=config.torso_cond_win_size)
        self.audatt_net = NeighbourAttention(dim, config.torso_smo_win_size)

    @full_precision
    def encode(self, speech: Tensor, euler: Tensor, trans: Tensor) -> Tensor:
        """Return the code [F,D] of frames without the color.

        Args:
            speech: Windows of speech features, [F,S,W,C].
            euler: Extrinsic xyz angles of the camera, [F,3] radians.
            trans: Its place, [F,3] metres.
        """
        code = encode_windows(self.aud_net, self.audatt_net, speech)
        return torch.cat([code, frequency_encoding(euler, _POSE_BANDS), frequency_encoding(trans, _POSE_BANDS)], dim=-1)

    def with_color(self, code: Tensor, head_rgb: Tensor) -> Tensor:
        """Return the condition of each ray, [N,C], of its frame's code [N,D] and the color of the head [N,3] there."""
        return torch.cat([code, self.color_encoder(head_rgb)], dim=-1) if self.config.use_color else code
