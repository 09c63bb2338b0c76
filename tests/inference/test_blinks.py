"""Blinks are found in the person's own clip and put back at the person's own rate."""

import logging

import numpy as np
import pytest

from inference.blinks import Blinks, find_blinks, inject_natural, inject_period, inject_true

MINUTE = 1500


def eyes(closed_at: list[int], frames: int = MINUTE) -> np.ndarray:
    """Return landmarks in cm whose lids close for three frames at the given frames."""
    opening = np.full(frames, 1.0)
    opening += 0.05 * np.sin(np.arange(frames) / 9)
    for frame in closed_at:
        opening[frame - 1 : frame + 4] = [0.5, 0.1, 0.0, 0.1, 0.5]
    lm3d = np.zeros((frames, 68, 3), np.float32)
    lm3d[:, 36, 0], lm3d[:, 45, 0] = -4.5, 4.5
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        lm3d[:, upper, 1], lm3d[:, lower, 1] = opening, 0
    return lm3d


def test_every_whole_blink_is_found_with_open_ends() -> None:
    lm3d = eyes([100, 400, 900])
    blinks = find_blinks(lm3d, lm3d, [(0, MINUTE)])
    assert len(blinks.shapes) == 3
    assert blinks.per_minute == pytest.approx(3)
    lids = blinks.shapes[0][:, 1, 1]
    assert lids[0] > 0.9
    assert lids[-1] > 0.9
    assert lids.min() == 0


def test_a_blink_across_a_cut_is_not_taken() -> None:
    lm3d = eyes([100, 400])
    assert len(find_blinks(lm3d, lm3d, [(0, 101), (101, MINUTE)]).shapes) == 1


def test_eyes_that_never_close_give_no_blink(caplog: pytest.LogCaptureFixture) -> None:
    lm3d = eyes([])
    blinks = find_blinks(lm3d, lm3d, [(0, MINUTE)])
    assert blinks.shapes == ()
    with caplog.at_level(logging.WARNING):
        assert inject_natural(lm3d, blinks, seed=1) is lm3d
    assert "no blink found" in caplog.text


SHAPE = np.full((9, 12, 3), -4.0, np.float32)


def closings(landmarks: np.ndarray) -> np.ndarray:
    """Return the frames at which a lid begins to be fully closed."""
    return np.flatnonzero(np.diff((landmarks[:, 40, 1] < -3.9).astype(int)) == 1)


def test_natural_blinks_come_at_the_persons_rate_irregularly_and_by_the_seed() -> None:
    still = np.zeros((20 * MINUTE, 68, 3), np.float32)
    result = inject_natural(still, Blinks((SHAPE,), 15.0), seed=7)
    starts = closings(result)
    assert len(starts) / 20 == pytest.approx(15, rel=0.2)
    gaps = np.diff(starts)
    assert gaps.min() >= len(SHAPE)
    assert gaps.std() > 0.3 * gaps.mean()
    np.testing.assert_array_equal(result, inject_natural(still, Blinks((SHAPE,), 15.0), seed=7))
    assert not np.array_equal(result, inject_natural(still, Blinks((SHAPE,), 15.0), seed=8))
    np.testing.assert_array_equal(np.delete(result, np.arange(36, 48), axis=1), 0)  # only the eyes move


def test_periodic_blinks_are_even_and_fade_in() -> None:
    result = inject_period(np.zeros((MINUTE, 68, 3), np.float32), Blinks((SHAPE,), 10.0))
    starts = closings(result)
    assert len(starts) == 10
    assert set(np.diff(starts)) == {150}
    assert np.abs(np.diff(result[:, 40, 1])).max() <= 1.01  # a quarter of the way a frame


def test_true_eyes_follow_the_frames_of_the_camera_path() -> None:
    database = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((68, 3), np.float32)
    result = inject_true(np.zeros((4, 68, 3), np.float32), database, np.array([8, 9, 8, 7]))
    np.testing.assert_array_equal(result[:, 40, 0], [8, 9, 8, 7])
    np.testing.assert_array_equal(result[:, [0, 60], 0], 0)
