"""SyncNet's embeddings."""

from __future__ import annotations

import pytest
import torch

from modules.syncnet.model import SyncNet, SyncNetConfig

SMALL = {
    "speech_dim": 6,
    "syncnet_audio_channels": (4, 6, 8),
    "syncnet_mouth_channels": (4, 4, 6, 8),
    "syncnet_res_blocks": 1,
}


@pytest.mark.parametrize("win", [5, 9, 25])
def test_any_window_gives_unit_vectors_and_a_cosine_between_0_and_1(win: int) -> None:
    model = SyncNet(SyncNetConfig(sync_win_frames=win, **SMALL)).eval()
    speech, mouth = torch.randn(7, 2 * win, 6), torch.randn(7, win, 60)
    torch.testing.assert_close(model.embed_speech(speech).norm(dim=1), torch.ones(7))
    cosine = model(speech, mouth)
    assert ((cosine >= 0) & (cosine <= 1 + 1e-6)).all()


def test_a_mouth_is_judged_by_itself_and_not_by_its_batch() -> None:
    model = SyncNet(SyncNetConfig(**SMALL)).eval()
    mouth = torch.randn(5, 5, 60)
    torch.testing.assert_close(model.embed_mouth(mouth)[2:3], model.embed_mouth(mouth[2:3]))


def test_wider_channels_make_a_larger_network() -> None:
    small, wide = (
        SyncNet(SyncNetConfig(**SMALL)),
        SyncNet(SyncNetConfig(**{**SMALL, "syncnet_audio_channels": (8, 8, 8)})),
    )
    assert sum(p.numel() for p in wide.parameters()) > sum(p.numel() for p in small.parameters())
