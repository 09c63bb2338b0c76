"""SyncNet that compares windows frame by frame."""

from __future__ import annotations

import torch

from modules.syncnet.frames import FrameEncoder, frame_embedding
from modules.syncnet.model import SyncNet, SyncNetConfig


def _judge(**changes: object) -> SyncNet:
    values: dict[str, object] = {
        "speech_dim": 6,
        "sync_win_frames": 25,
        "syncnet_embedding": "frames",
        "syncnet_frame_width": 8,
    }
    return SyncNet(SyncNetConfig(**{**values, **changes})).eval()


def test_the_dot_product_is_the_correlation_mapped_to_0_and_1() -> None:
    a, b = torch.randn(3, 2, 9), torch.randn(3, 2, 9)
    centred_a, centred_b = ((x - x.mean(2, keepdim=True)).flatten(1) for x in (a, b))
    expected = (1 + torch.cosine_similarity(centred_a, centred_b)) / 2
    torch.testing.assert_close((frame_embedding(a) * frame_embedding(b)).sum(1), expected)
    torch.testing.assert_close((frame_embedding(a) * frame_embedding(-a)).sum(1), torch.zeros(3), atol=1e-6, rtol=0)


def test_embeddings_are_unit_vectors_for_any_window() -> None:
    for win in (5, 9, 25):
        model = _judge(sync_win_frames=win)
        torch.testing.assert_close(model.embed_speech(torch.randn(4, 2 * win, 6)).norm(dim=1), torch.ones(4))
        torch.testing.assert_close(model.embed_mouth(torch.randn(4, win, 60)).norm(dim=1), torch.ones(4))


def test_a_window_in_another_order_is_another_window() -> None:
    model, mouth = _judge(), torch.randn(2, 25, 60)
    embedded, shuffled = model.embed_mouth(mouth), model.embed_mouth(mouth.roll(5, dims=1))
    assert ((embedded * shuffled).sum(1) < 0.9).all()


def test_a_frame_of_lips_changes_no_vector_more_than_four_frames_away() -> None:
    encoder = FrameEncoder(60, 8, 4, rows_per_frame=1, dropout=0.0).eval()
    x = torch.randn(1, 60, 25)
    changed = x.clone()
    changed[:, :, 12] += 1
    moved = (encoder(x) - encoder(changed)).abs().amax(1)[0] > 0
    assert moved.nonzero().flatten().tolist() == list(range(8, 17))


def test_speech_frames_stand_beside_the_video_frames_they_sound_in() -> None:
    encoder = FrameEncoder(6, 8, 4, rows_per_frame=2, dropout=0.0).eval()
    x = torch.randn(1, 6, 50)
    changed = x.clone()
    changed[:, :, 24:26] += 1
    moved = ((encoder(x) - encoder(changed)).abs().amax(1)[0] > 0).nonzero().flatten()
    assert float(moved.float().mean()) == 12
    assert len(moved) == 11


def test_a_silent_window_gives_finite_gradients() -> None:
    model = _judge().train()
    mouth = torch.zeros(4, 25, 60, requires_grad=True)
    model(torch.zeros(4, 50, 6), mouth).sum().backward()
    assert mouth.grad is not None
    assert torch.isfinite(mouth.grad).all()
