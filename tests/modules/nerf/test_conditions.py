"""Conditions put together when asked for are those of windows of windows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.nerf.conditions import landmark_conditions, speech_conditions
from utils.data.windows import window_indices

SIZES = {"frames": st.integers(1, 12), "window": st.integers(1, 16), "smoothing": st.integers(1, 8)}


@given(**SIZES)
def test_landmarks_are_windows_of_neighbours(frames: int, window: int, smoothing: int) -> None:
    lm3d = torch.arange(frames * 204.0).view(frames, 68, 3)
    found = landmark_conditions(lm3d, torch.zeros(68, 3), torch.ones(68, 3), window=window, smoothing=smoothing)
    expected = lm3d.flatten(1)[window_indices(frames, window)][window_indices(frames, smoothing)]
    assert torch.equal(torch.stack([found[t] for t in range(len(found))]), expected)


@given(**SIZES)
def test_speech_has_two_rows_a_frame(frames: int, window: int, smoothing: int) -> None:
    rows = torch.arange(2.0 * frames)[:, None]
    found = speech_conditions(rows, window=window, smoothing=smoothing)
    own = rows[window_indices(2 * frames, window, center=2 * torch.arange(frames))]
    expected = own[window_indices(frames, smoothing)]
    assert torch.equal(torch.stack([found[t] for t in range(len(found))]), expected)


def test_there_is_no_frame_outside() -> None:
    found = speech_conditions(torch.zeros(8, 3), window=4, smoothing=2)
    for t in (-1, 4):
        with pytest.raises(IndexError, match="of 4"):
            found[t]
