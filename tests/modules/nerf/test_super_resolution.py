from __future__ import annotations

import torch
from torch.nn import functional as F

from modules.nerf.super_resolution import SuperResolution, SuperResolutionConfig, enlarge, shrunk
from utils.geometry.cameras import Intrinsics


def test_an_untrained_network_interpolates() -> None:
    small = torch.rand(2, 4, 6, 5)
    torch.testing.assert_close(SuperResolution(SuperResolutionConfig())(small), enlarge(small, 2))


def test_nothing_is_added_away_from_the_head() -> None:
    network = SuperResolution(SuperResolutionConfig(sr_channels=8)).requires_grad_(False)
    torch.nn.init.ones_(network.convs[-1].bias)
    small = torch.zeros(1, 4, 9, 9)
    small[:, :, 4, 4] = 0.5
    large = network(small)
    assert float(large[:, :, 6:12, 6:12].min()) == 1
    outside = F.pad(torch.zeros(6, 6), (6, 6, 6, 6), value=1.0).bool()
    assert float(large[..., outside].abs().max()) == 0


def test_a_small_pixel_sees_the_middle_of_its_large_ones() -> None:
    camera = Intrinsics(focal=100, cx=20, cy=11, height=23, width=41)
    small = shrunk(camera, 2)
    assert (small.height, small.width) == (12, 21)
    for column in range(20):
        large = ((2 * column + 0.5 - camera.cx) + (2 * column + 1.5 - camera.cx)) / 2 / camera.focal
        assert abs((column + 0.5 - small.cx) / small.focal - large) < 1e-9
