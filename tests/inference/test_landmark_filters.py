"""Each landmark filter removes the fault planted for it and leaves the rest alone."""

import numpy as np
import pytest

from inference.blinks import Blinks
from inference.config import FilterConfig
from inference.landmark_filters import (
    EYES,
    MOUTH,
    apply_filters,
    clamp,
    lle,
    lle_project,
    replace_outliers,
    smooth,
)
from inference.mouth_filters import mouth_habits
from inference.person_motion import PersonMotion, closed_mouth, contiguous_pieces
from inference.rest_filters import RestHabits
from utils.commons.schema import DataError

FRAMES = 60


@pytest.fixture
def motion() -> np.ndarray:
    """Return a slow motion of all points, [60,68,3] f32, within +-1.2 std."""
    phase = np.arange(68 * 3).reshape(68, 3)
    return (1.2 * np.sin(np.arange(FRAMES)[:, None, None] / 6 + phase)).astype(np.float32)


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the anchors' pseudo-random input (32-bit hash of the index), f32 in [-1, 1)."""
    x = (np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * 2654435761 + seed) % 2**32
    x ^= x >> np.uint64(16)
    x = x * 0x85EBCA6B % 2**32
    x ^= x >> np.uint64(13)
    x = x * 0xC2B2AE35 % 2**32
    x ^= x >> np.uint64(16)
    return (x.astype(np.float64) / 2**31 - 1).reshape(shape).astype(np.float32)


def test_lle_equals_the_reference() -> None:
    database = numbers((60, 12), 770000)
    fused, weights = lle_project(database[[3, 17, 40]] * np.float32(0.9) + np.float32(0.05), database, 5)
    expected = [0.699527, -0.976985, 0.326759, -0.815103, 0.241804, -0.641495, -0.039173, 0.617587]
    np.testing.assert_allclose(fused.ravel()[:8], expected, atol=1e-4)  # the ridge moves the fifth digit
    np.testing.assert_allclose(fused.ravel()[-4:], [-0.547267, -0.193388, -0.713692, 0.540166], atol=1e-4)
    assert np.abs(fused).sum() == pytest.approx(15.041792, rel=1e-4)
    first = [0.888442, -0.014470, 0.073415, 0.052642, -0.000029, 0.946009, 0.004248, -0.013043]
    np.testing.assert_allclose(weights.ravel()[:8], first, atol=1e-4)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)


def test_lle_survives_a_database_of_equal_rows() -> None:
    database = np.ones((12, 6), np.float32)
    fused, weights = lle_project(np.zeros((1, 6), np.float32), database, 10)
    np.testing.assert_allclose(fused, 1, atol=1e-5)
    assert np.isfinite(weights).all()


def test_lle_pulls_a_foreign_face_to_the_persons_and_leaves_the_mouth(motion: np.ndarray) -> None:
    foreign = motion.copy()
    foreign[10, :48] += numbers((48, 3), 5) * 3
    result = lle(foreign, motion, 1.0)
    assert np.abs(result[10, :48]).max() < 3  # the person's own frames reach 1.2
    assert np.linalg.norm(result[10, :48] - motion[10, :48]) < 0.5 * np.linalg.norm(foreign[10, :48] - motion[10, :48])
    np.testing.assert_array_equal(result[:, MOUTH], foreign[:, MOUTH])
    half = lle(foreign, motion, 0.5)
    np.testing.assert_allclose(half[10, :48], (result[10, :48] + foreign[10, :48]) / 2, atol=1e-5)
    assert lle(foreign, motion, 0) is foreign


def test_clamp_limits_by_group() -> None:
    result = clamp(np.full((1, 68, 3), 9.0, np.float32), 2.0)[0]
    np.testing.assert_array_equal(result[[0, 30, 50]], 2.0)
    np.testing.assert_array_equal(result[[20, 40]], [[1, 1, 2]] * 2)
    assert clamp(result[None], 0)[0].max() == 2.0


def test_an_outlier_frame_is_interpolated_and_its_neighbours_stay(motion: np.ndarray) -> None:
    planted = motion.copy()
    planted[20] += 8
    planted[40:42] -= 6
    result = replace_outliers(planted, 2.5)
    for frame in (20, 40, 41):
        assert np.abs(result[frame] - motion[frame]).max() < 0.15
    rest = np.setdiff1d(np.arange(FRAMES), [20, 40, 41])
    np.testing.assert_array_equal(result[rest], planted[rest])


def test_frames_that_are_no_numbers_are_always_replaced(motion: np.ndarray) -> None:
    planted = motion.copy()
    planted[0], planted[30, 3] = np.nan, np.inf
    result = replace_outliers(planted, 0)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[0], motion[1])
    with pytest.raises(DataError, match="did not converge"):
        replace_outliers(np.full_like(motion, np.nan), 2.5)


def test_good_motion_passes_the_outlier_filter_untouched(motion: np.ndarray) -> None:
    np.testing.assert_array_equal(replace_outliers(motion, 2.5), motion)


def test_smoothing_runs_along_time_and_spares_the_mouth(motion: np.ndarray) -> None:
    trembling = motion + 0.5 * (-1.0) ** np.arange(FRAMES, dtype=np.float32)[:, None, None]
    result = smooth(trembling, 1.0, sigma_mouth=0.0)
    inside = slice(4, -4)
    assert np.abs(result[inside, :48] - motion[inside, :48]).max() < 0.1
    np.testing.assert_array_equal(result[:, MOUTH], trembling[:, MOUTH])
    still = np.random.default_rng(0).standard_normal((1, 68, 3)).astype(np.float32).repeat(20, axis=0)
    np.testing.assert_allclose(smooth(still, 3.0, sigma_mouth=3.0), still, atol=1e-5)  # nothing leaks between points


def test_the_closed_mouth_is_the_mean_of_the_most_closed_frames() -> None:
    lm3d = np.zeros((100, 68, 3), np.float32)
    lm3d[:, 36, 0], lm3d[:, 45, 0] = -4, 4
    lm3d[:, 62, 1] = np.arange(100)
    assert closed_mouth(lm3d, lm3d)[62, 1] == pytest.approx(2.0)


def test_pieces_end_at_gaps_and_at_segment_borders() -> None:
    frames = np.array([0, 1, 2, 5, 6, 7, 8])
    assert contiguous_pieces(frames, [(0, 7), (7, 10)]) == [(0, 3), (5, 7), (7, 9)]
    assert contiguous_pieces(np.zeros(0, int), [(0, 7)]) == []


@pytest.fixture
def person(motion: np.ndarray) -> PersonMotion:
    blink = np.full((9, 12, 3), -5.0, np.float32)
    mean = np.zeros((68, 3), np.float32)
    mean[36, 0], mean[45, 0], mean[66, 1] = -45, 45, -4
    habits = mouth_habits(motion, [(0, 50)], mean=mean, std=np.ones((68, 3), np.float32))
    closed = np.full((68, 3), -2.0, np.float32)
    return PersonMotion(
        motion, np.arange(50), closed, Blinks((blink,), 60.0), habits, RestHabits(habits.closed, habits.closed)
    )


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({"infer_lm3d_clamp_std": 1.0}, slice(0, 68)),
        ({"infer_lm3d_lle_percent": 1.0}, slice(0, 48)),
        ({"infer_lm3d_smooth_sigma": 3.0}, slice(0, 48)),
        ({"infer_lm3d_smooth_sigma_mouth": 3.0}, MOUTH),
        ({"infer_inject_eye_blink_mode": "period"}, EYES),
        ({"infer_inject_eye_blink_mode": "natural"}, EYES),
        ({"infer_inject_eye_blink_mode": "gt"}, slice(17, 48)),
        ({"infer_close_mouth_when_sil": True}, MOUTH),
        ({"infer_close_mouth_when_sil": True, "infer_rest_mouth": "closed"}, MOUTH),
        ({"infer_calm_bursts": True}, MOUTH),
        ({"infer_mouth_amplitude": 0.5}, MOUTH),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_key_switches_its_own_filter(
    change: dict[str, object], points: slice, motion: np.ndarray, person: PersonMotion
) -> None:
    off: dict[str, object] = {
        "infer_lm3d_outlier_std": 0, "infer_lm3d_clamp_std": 0, "infer_lm3d_smooth_sigma": 0,
        "infer_lm3d_smooth_sigma_mouth": 0, "infer_inject_eye_blink_mode": "none", "infer_close_mouth_when_sil": False,
        "infer_calm_bursts": False, "infer_remove_drift": False, "infer_fit_range": False, "infer_limit_opening": False,
    }  # fmt: skip
    given = motion + 0.6 * np.random.default_rng(0).standard_normal(motion.shape).astype(np.float32)
    speaking = np.arange(FRAMES) < 30

    def run(keys: dict[str, object]) -> np.ndarray:
        frames = np.arange(FRAMES)[::-1]
        return apply_filters(given, person, FilterConfig(**keys), speaking=speaking, path_frames=frames, seed=1)

    np.testing.assert_array_equal(run(off), given)
    changed = np.abs(run(off | change) - given).max(axis=(0, 2)) > 0
    assert changed[points].any()


def test_defaults_heal_planted_faults_and_keep_speech(motion: np.ndarray, person: PersonMotion) -> None:
    planted = motion.copy()
    planted[12] += 9
    planted[45:, 66, 1] = -6  # the mouth hangs open in the silence
    speaking = np.arange(FRAMES) < 40
    result = apply_filters(planted, person, FilterConfig(), speaking=speaking, path_frames=np.arange(FRAMES), seed=3)
    assert np.abs(result[12] - motion[12])[48:].max() < 0.2
    np.testing.assert_allclose(result[52:, 66, 1], -2.0, atol=0.05)
    free = np.setdiff1d(np.arange(2, 38), np.arange(9, 16))
    for point in range(48, 68):
        assert np.corrcoef(result[free, point, 1], motion[free, point, 1])[0, 1] > 0.99
