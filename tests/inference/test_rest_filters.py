"""In pauses a mouth does what the person's own does; speech stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.config import InferConfig
from inference.mouth_filters import MouthHabits, mouth_habits
from inference.person_motion import person_motion
from inference.pipeline import open_person
from inference.rest_filters import RestHabits, rest_habits, rest_mouth, silence_depth, silence_weight
from utils.metrics.landmark import silence_leak
from utils.metrics.lipsync import lip_opening

FRAMES, PAUSE = 200, slice(60, 140)
CLOSED = np.zeros((68, 3), np.float32)
CLOSED[36, 0], CLOSED[45, 0], CLOSED[66, 1] = -5, 5, -0.1


def _mouth(opening: np.ndarray) -> np.ndarray:
    """Return landmarks [T,68,3] whose lower lip and chin are ``opening`` eye distances below."""
    points = np.tile(CLOSED, (len(opening), 1, 1))
    points[:, 66, 1], points[:, 57, 1], points[:, 8, 1] = -10 * opening, -10 * opening - 1, -10 * opening - 5
    return points.astype(np.float32)


@pytest.fixture
def speaking() -> np.ndarray:
    flags = np.ones(FRAMES, bool)
    flags[PAUSE] = False
    return flags


@pytest.fixture
def talk(speaking: np.ndarray) -> np.ndarray:
    """Return openings [T] of lips that hang .12 open in the pause, and tremble."""
    frame = np.arange(FRAMES)
    return np.where(speaking, 0.1 + 0.08 * np.sin(frame / 3), 0.12 + 0.01 * (-1.0) ** frame)


@pytest.fixture
def habits(talk: np.ndarray) -> MouthHabits:
    landmarks = _mouth(talk)
    return mouth_habits(landmarks, [(0, FRAMES)], mean=np.zeros((68, 3)), std=np.ones((68, 3)))


def _rested(landmarks: np.ndarray, habits: MouthHabits, rest: RestHabits, speaking: np.ndarray) -> np.ndarray:
    weight = silence_weight(speaking, 6, min_frames=10, lead_frames=5)
    closed = _mouth(np.array([habits.closed]))[0]
    return rest_mouth(landmarks, habits, rest, closed, speaking=speaking, weight=weight)


def test_a_mouth_hanging_open_in_a_pause_goes_to_the_persons_rest_and_is_still(
    talk: np.ndarray, habits: MouthHabits, speaking: np.ndarray
) -> None:
    opening = lip_opening(_rested(_mouth(talk), habits, RestHabits(0.06, 0.06), speaking))
    assert opening[75:120] == pytest.approx(0.06, abs=0.003)
    assert silence_leak(opening, speaking) < 0.25 * silence_leak(talk, speaking)
    np.testing.assert_allclose(opening[speaking], talk[speaking], atol=1e-6)
    assert np.abs(np.diff(opening[55:80])).max() < 0.04


def test_a_mouth_less_open_than_the_persons_rest_stays(habits: MouthHabits, speaking: np.ndarray) -> None:
    calm = _mouth(np.full(FRAMES, 0.05))
    np.testing.assert_allclose(_rested(calm, habits, RestHabits(0.09, 0.07), speaking), calm, atol=1e-6)


def test_after_a_second_of_silence_the_mouth_settles_further(
    talk: np.ndarray, habits: MouthHabits, speaking: np.ndarray
) -> None:
    opening = lip_opening(_rested(_mouth(talk), habits, RestHabits(0.09, 0.03), speaking))
    assert opening[78] == pytest.approx(0.09, abs=0.004)
    assert opening[100] == pytest.approx(0.03, abs=0.004)
    assert np.abs(np.diff(opening[70:130])).max() < 0.01


def test_in_a_short_pause_the_mouth_is_still_and_stays_open(talk: np.ndarray, habits: MouthHabits) -> None:
    speaking = np.ones(FRAMES, bool)
    speaking[60:68] = False
    opening = lip_opening(_rested(_mouth(talk), habits, RestHabits(0.03, 0.03), speaking))
    assert np.abs(np.diff(opening[62:66])).max() < 0.25 * np.abs(np.diff(talk[62:66])).max()
    assert opening[62:66].min() > 0.1
    np.testing.assert_allclose(opening[speaking], talk[speaking], atol=1e-6)


def test_lips_are_free_before_they_are_heard(speaking: np.ndarray) -> None:
    weight = silence_weight(speaking, 6, lead_frames=5)
    assert not weight[135:].any()
    assert weight[60] > 0
    assert weight[66:129].min() == 1
    assert np.abs(np.diff(weight)).max() < 0.3


def test_the_fade_is_gradual_and_inside_the_silence() -> None:
    flags = np.array([True] * 10 + [False] * 20 + [True] * 5 + [False] * 10)
    weight = silence_weight(flags, 4)
    assert not weight[flags].any()
    assert np.abs(np.diff(weight[5:40])).max() < 0.4
    np.testing.assert_array_equal(weight[14:26], 1)
    np.testing.assert_array_equal(weight[-5:], 1)  # the file ends in silence: the mouth need not open again
    np.testing.assert_array_equal(silence_weight(np.zeros(5, bool), 4), 1)


def test_the_mouth_does_not_twitch_in_a_short_pause() -> None:
    flags = np.array([True] * 10 + [False] * 8 + [True] * 10 + [False] * 12 + [True] * 3)
    weight = silence_weight(flags, 4, min_frames=10)
    assert not weight[:28].any()
    assert weight[28:40].max() == 1


def test_depth_counts_from_the_nearest_speech_and_never_ends_in_a_silent_file(speaking: np.ndarray) -> None:
    depth = silence_depth(speaking)
    np.testing.assert_array_equal(depth[[59, 60, 99, 139, 140]], [0, 1, 40, 1, 0])
    assert np.isinf(silence_depth(np.zeros(4, bool))).all()


def test_habits_are_quantiles_of_the_pauses_and_closed_without_any() -> None:
    openings = np.linspace(0, 0.2, 101)
    found = rest_habits(openings, openings < 0.101, closed=0.01)
    assert (found.settled, found.relaxed) == (pytest.approx(0.025), pytest.approx(0.075))
    assert rest_habits(openings, openings < 0.02, closed=0.01) == RestHabits(0.01, 0.01)
    assert rest_habits(openings, openings < 0.101, closed=0.04).settled == 0.04


def test_the_persons_rest_is_measured_on_training_frames_of_the_clip(root: Path) -> None:
    store = open_person(InferConfig(video_id="tim").video_id)
    person = person_motion(store)
    opening = lip_opening(np.asarray(store.lm3d)[store.indices("train")])
    assert person.habits.closed <= person.rest.settled <= person.rest.relaxed <= opening.max()
