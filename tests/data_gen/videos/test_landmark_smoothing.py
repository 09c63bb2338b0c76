import numpy as np
import pytest
from pydantic import ValidationError

from data_gen.videos.config import ProcessConfig
from data_gen.videos.landmark_smoothing import smooth_landmarks


def test_accelerated_motion_stays_and_cuts_are_not_crossed() -> None:
    t = np.arange(40.0)
    motion = np.where(t < 20, 0.02 * t**2, 30 - t)[:, None, None] * np.ones((1, 68, 3))
    smooth = smooth_landmarks(motion, np.ones(40, bool), [(0, 20), (20, 40)], 5)
    assert np.allclose(smooth, motion, atol=1e-9)


def test_noise_falls_as_a_parabola_through_five_frames_says() -> None:
    noise = np.random.default_rng(0).normal(size=(4000, 68, 3))
    smooth = smooth_landmarks(noise, np.ones(4000, bool), [(0, 4000)], 5)
    assert smooth.var() == pytest.approx(17 / 35, rel=0.03)


def test_a_closure_of_three_frames_is_still_closed_nine_tenths() -> None:
    opening = np.ones(21)
    opening[9:12] = 0
    smooth = smooth_landmarks(opening[:, None, None] * np.ones((1, 68, 3)), np.ones(21, bool), [(0, 21)], 5)
    assert 0 <= smooth[10, 0, 0] < 0.1, "and lids do not cross"
    assert smooth.max() <= 1


def test_short_segments_and_no_window_change_nothing() -> None:
    noise = np.random.default_rng(1).normal(size=(12, 68, 3))
    assert np.array_equal(smooth_landmarks(noise, np.ones(12, bool), [(0, 4), (4, 8), (8, 12)], 5), noise)
    assert np.array_equal(smooth_landmarks(noise, np.ones(12, bool), [(0, 12)], 1), noise)


def test_frames_without_a_face_stay_and_disturb_none() -> None:
    line = np.linspace(0, 3, 30)[:, None, None] * np.ones((1, 68, 3))
    valid = np.ones(30, bool)
    valid[[0, 11, 12]] = False
    wild = np.where(valid[:, None, None], line, 99.0)
    smooth = smooth_landmarks(wild, valid, [(0, 30)], 5)
    assert (smooth[~valid] == 99).all()
    assert np.abs(smooth - line)[valid].max() < 0.1, "less than a step of the line"


def test_an_even_window_is_refused() -> None:
    with pytest.raises(ValidationError, match="odd number of frames, found 4"):
        ProcessConfig(video_id="a", landmark_smoothing=4)
