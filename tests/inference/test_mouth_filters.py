"""Faults planted into good motion are healed, and good motion is hardly touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.blinks import Blinks
from inference.config import FilterConfig
from inference.landmark_filters import apply_filters, clamp
from inference.mouth_filters import (
    JAW,
    MOUTH,
    OPEN_MARGIN,
    MouthHabits,
    calm_bursts,
    fit_range,
    limit_opening,
    mouth_habits,
    remove_drift,
    scale_mouth,
)
from inference.person_motion import PersonMotion, closed_mouth
from inference.rest_filters import RestHabits
from tests.support.tiny_corpus import tiny_clip

FRAMES = 300


@pytest.fixture(scope="module")
def person() -> PersonMotion:
    lm3d = tiny_clip(1, 0, FRAMES, 4).lm3d
    mean, std = lm3d.mean(axis=0), lm3d.std(axis=0).clip(1e-3)
    normalized = ((lm3d - mean) / std).astype(np.float32)
    habits = mouth_habits(normalized, [(0, FRAMES)], mean=mean, std=std)
    closed = closed_mouth(lm3d, normalized)
    rest = RestHabits(habits.closed, habits.closed)
    return PersonMotion(normalized, np.arange(FRAMES), closed, Blinks((), 0.0), habits, rest)


@pytest.fixture
def good(person: PersonMotion) -> np.ndarray:
    """Return motion of the same kind the person's statistics have not seen."""
    lm3d = tiny_clip(1, 1, FRAMES, 4).lm3d
    return ((lm3d - person.habits.mean) / person.habits.std).astype(np.float32)


def _filtered(motion: np.ndarray, person: PersonMotion, **keys: object) -> np.ndarray:
    config = FilterConfig(infer_inject_eye_blink_mode="none", **keys)
    speaking = np.ones(len(motion), bool)
    return apply_filters(motion, person, config, speaking=speaking, path_frames=np.arange(len(motion)), seed=0)


def test_a_burst_of_jitter_is_calmed_and_the_rest_is_untouched(person: PersonMotion, good: np.ndarray) -> None:
    planted = good.copy()
    planted[100:112] += 2.5 * (-1.0) ** np.arange(12, dtype=np.float32)[:, None, None]
    healed = calm_bursts(planted, person.habits.jerk)
    assert np.abs(healed[102:110] - good[102:110]).mean() < 0.35 * np.abs(planted[102:110] - good[102:110]).mean()
    np.testing.assert_array_equal(healed[:90], planted[:90])
    np.testing.assert_array_equal(healed[122:], planted[122:])
    assert calm_bursts(planted, 0) is planted
    np.testing.assert_array_equal(calm_bursts(good, person.habits.jerk), good)


def test_drift_is_taken_away_up_to_what_the_person_does(person: PersonMotion, good: np.ndarray) -> None:
    ramp = np.linspace(0, 5, FRAMES, dtype=np.float32)[:, None, None]
    healed = remove_drift(good + ramp, person.habits.slow)
    assert np.abs(healed[60:-60] - good[60:-60]).max() < 2.2  # the ramp itself reaches 4
    assert np.corrcoef(healed[:, 66, 1] - good[:, 66, 1], ramp[:, 0, 0])[0, 1] < 0.95
    np.testing.assert_allclose(remove_drift(good, person.habits.slow), good, atol=0.15)


def test_a_mouth_twice_too_wide_gets_the_persons_range_and_a_usual_one_stays(
    person: PersonMotion, good: np.ndarray
) -> None:
    habits, closed, speaking = person.habits, person.closed_mouth, np.ones(FRAMES, bool)
    wide = scale_mouth(good, closed, 2.0)
    healed = fit_range(wide, habits, closed, speaking)
    opening, truth = habits.opening(healed), habits.opening(good)
    assert np.percentile(opening, 95) == pytest.approx(np.percentile(truth, 95), rel=0.1)
    assert np.corrcoef(opening, truth)[0, 1] > 0.99
    assert fit_range(good, habits, closed, speaking) is good
    few = np.arange(FRAMES) < 49
    assert fit_range(wide, habits, closed, few) is wide
    slightly = fit_range(scale_mouth(good, closed, 1.25), habits, closed, speaking)
    assert habits.opening(slightly).std() <= habits.opening(scale_mouth(good, closed, 1.25)).std() + 1e-6


def test_no_frame_is_open_beyond_the_persons_limit(person: PersonMotion, good: np.ndarray) -> None:
    habits = person.habits
    planted = scale_mouth(good, person.closed_mouth, 1.9)
    assert (habits.opening(planted) > OPEN_MARGIN * habits.widest).sum() > 5
    healed = limit_opening(planted, habits, person.closed_mouth)
    assert habits.opening(healed).max() <= OPEN_MARGIN * habits.widest
    usual = habits.opening(planted) <= habits.widest
    np.testing.assert_array_equal(healed[usual], planted[usual])


def test_amplitude_scales_the_way_from_the_closed_mouth(person: PersonMotion, good: np.ndarray) -> None:
    closed = person.closed_mouth
    half = scale_mouth(good, closed, 0.5)
    for points in (JAW, MOUTH):
        np.testing.assert_allclose(
            half[:, points] - closed[points], 0.5 * (good[:, points] - closed[points]), atol=1e-5
        )
    np.testing.assert_array_equal(half[:, 17:48], good[:, 17:48])
    quiet, loud = (_filtered(good, person, infer_mouth_amplitude=a) for a in (0.6, 1.1))
    assert person.habits.opening(quiet).std() < 0.75 * person.habits.opening(loud).std()


def test_all_filters_together_move_good_frames_by_a_small_bound_only(person: PersonMotion, good: np.ndarray) -> None:
    change = _filtered(good, person, infer_lm3d_smooth_sigma_mouth=0, infer_lm3d_smooth_sigma=0) - good
    assert np.sqrt(np.square(change).mean()) < 0.05
    assert np.quantile(np.abs(change[:, MOUTH]), 0.99) < 0.35


def test_every_fault_at_once_still_gives_the_speech_back(person: PersonMotion, good: np.ndarray) -> None:
    planted = scale_mouth(good, person.closed_mouth, 2.0) + np.linspace(-3, 3, FRAMES, dtype=np.float32)[:, None, None]
    planted[40] += 30
    planted[80, 5] = np.nan
    planted[150:160] += 3 * (-1.0) ** np.arange(10, dtype=np.float32)[:, None, None]
    healed = _filtered(planted, person)
    free = np.setdiff1d(np.arange(10, FRAMES - 10), [*range(36, 45), *range(76, 85), *range(145, 165)])
    opening, truth = person.habits.opening(healed), person.habits.opening(good)
    assert np.isfinite(healed).all()
    assert opening.max() <= OPEN_MARGIN * person.habits.widest
    assert np.corrcoef(opening[free], truth[free])[0, 1] > 0.85


def test_a_mouth_half_open_in_silence_closes(person: PersonMotion, good: np.ndarray) -> None:
    hanging = good.copy()
    speaking = np.arange(FRAMES) < 200
    hanging[200:] = scale_mouth(np.tile(person.closed_mouth, (100, 1, 1)), np.zeros((68, 3), np.float32), -1.0)
    config = FilterConfig(infer_inject_eye_blink_mode="none")
    healed = apply_filters(hanging, person, config, speaking=speaking, path_frames=np.arange(FRAMES), seed=0)
    opening = person.habits.opening(healed)[215:]
    assert opening.max() < person.habits.closed + 0.1 * (person.habits.wide - person.habits.closed)


def test_habits_are_the_persons_own(person: PersonMotion) -> None:
    habits: MouthHabits = person.habits
    opening = habits.opening(person.database)
    assert habits.closed < habits.wide < habits.widest
    assert (opening > habits.widest).mean() == pytest.approx(0.005, abs=0.004)
    assert replace(habits, closed=0.0).closed == 0


def test_the_clamp_never_touches_what_the_person_does(person: PersonMotion) -> None:
    own = person.habits.reach
    inside = np.clip(person.database, own[0], own[1])
    np.testing.assert_array_equal(clamp(inside, 0.5, own=own), inside)
    assert np.abs(clamp(inside, 0.5) - inside).max() > 0.3
    assert np.abs(clamp(9 * inside, 3.0, own=own)).max() <= max(3.0, np.abs(own).max()) + 1e-6


def test_short_clips_have_not_drifted(person: PersonMotion, good: np.ndarray) -> None:
    np.testing.assert_array_equal(remove_drift(good[:249] + 9, person.habits.slow), good[:249] + 9)
