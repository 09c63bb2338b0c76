"""Timing between lips and sound, by made sounds whose lag is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.commons.schema import DataError
from utils.metrics.lipsync import lip_corr, lip_opening, mouth_height, sync_lag


def babble(frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise [N] whose loudness follows a random curve, and that curve at 25 fps [T]."""
    rng = np.random.default_rng(seed)
    curve = np.convolve(rng.standard_normal(frames + 4), [0.2, 0.5, 0.5, 0.2], mode="valid")[:frames]
    curve = np.pad(curve, (0, frames - len(curve)))
    loudness = np.exp(np.interp(np.arange(frames * 640) / 640 - 0.5, np.arange(frames), curve))
    return loudness * rng.standard_normal(frames * 640) * 0.02, curve


@settings(deadline=None, max_examples=15)
@given(lag=st.integers(-12, 12), seed=st.integers(0, 1000))
def test_the_lag_by_which_lips_were_shifted_is_found(lag: int, seed: int) -> None:
    wav, curve = babble(300, seed)
    result = sync_lag(wav, np.roll(curve, lag), np.roll(curve, lag) * 2 + 1)
    assert result.lag == lag
    assert result.r == pytest.approx(result.curve.max())
    assert result.r > 0.7
    assert result.curve.shape == (31,)


def test_lips_of_another_sound_correlate_little() -> None:
    wav, _ = babble(400, 1)
    _, other = babble(400, 2)
    assert sync_lag(wav, other, other).r < 0.35


def test_a_still_mouth_has_neither_lag_nor_correlation() -> None:
    wav, _ = babble(100, 3)
    result = sync_lag(wav, np.full(100, 0.1), np.full(100, 0.3))
    assert (result.lag, result.r) == (0, 0.0)


def test_level_of_the_recording_does_not_matter() -> None:
    wav, curve = babble(200, 4)
    np.testing.assert_allclose(sync_lag(wav * 1e-2, curve, curve).curve, sync_lag(wav, curve, curve).curve, atol=1e-6)


def test_too_short_a_clip_is_refused() -> None:
    wav, curve = babble(59, 5)
    with pytest.raises(DataError, match="59 frames are too few"):
        sync_lag(wav, curve, curve)


@given(scale=st.floats(0.1, 1000), angle=st.floats(-3, 3, allow_subnormal=False))  # torch may flush subnormals
def test_opening_and_height_ignore_size_and_rotation_in_the_picture(scale: float, angle: float) -> None:
    points = np.random.default_rng(0).standard_normal((2, 68, 2))
    points[:, 36], points[:, 45], points[:, 62], points[:, 66] = [-2, 0], [2, 0], [0, -1], [0, -1.4]
    points[:, 51], points[:, 57] = [0, -0.8], [0, -1.8]
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(lip_opening(points @ turn.T + 7), [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(mouth_height(points @ turn.T + 7), [0.25, 0.25], rtol=1e-6)


def test_lip_corr_is_pearson_and_zero_for_a_frozen_mouth() -> None:
    curve = np.array([0.0, 1.0, 3.0, 2.0])
    assert lip_corr(curve, 5 * curve + 1) == pytest.approx(1)
    assert lip_corr(-curve, curve) == pytest.approx(-1)
    assert lip_corr(np.ones(4), curve) == 0.0


def test_frames_and_segments_find_the_lag_in_footage_with_cuts() -> None:
    """Each of ten takes has its own sound; the lips of a take's last frames follow three frames late."""
    takes = [babble(60, seed) for seed in range(10)]
    wav = np.concatenate([wav for wav, _ in takes])
    lips = np.concatenate([np.roll(curve, 3) for _, curve in takes])
    segments = [(60 * n, 60 * n + 60) for n in range(10)]
    frames = np.concatenate([np.arange(start + 30, end) for start, end in segments])
    result = sync_lag(wav, lips[frames], lips[frames], frames=frames, segments=segments)
    assert result.lag == 3
    assert result.r > 0.8
