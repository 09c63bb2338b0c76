"""Flicker: closed forms on small videos."""

import numpy as np
import pytest

from inference.flicker import Flicker

EVERYWHERE = np.ones((12, 12), bool)


def grey(level: float) -> np.ndarray:
    return np.full((12, 12, 3), level, np.uint8)


def flicker_of(levels: list[float], regions: dict[str, np.ndarray]) -> dict[str, float]:
    flicker = Flicker()
    for level in levels:
        flicker.add(grey(level), regions)
    return flicker.row()


def test_a_steady_change_does_not_flicker() -> None:
    assert flicker_of([10, 20, 30, 40], {"head": EVERYWHERE}) == {"flicker_head": 0.0}


def test_an_alternating_picture_flickers_by_four_amplitudes() -> None:
    assert flicker_of([100, 106, 100, 106], {"head": EVERYWHERE}) == {"flicker_head": pytest.approx(12)}


def test_a_region_is_measured_inside_only() -> None:
    half = EVERYWHERE.copy()
    half[:, 6:] = False
    flicker = Flicker()
    for level in (100, 150, 100):
        picture = grey(100)
        picture[:, 6:] = level
        flicker.add(picture, {"head": half, "torso": ~half})
    row = flicker.row()
    assert row["flicker_head"] == 0
    assert row["flicker_torso"] == pytest.approx(100)


def test_nothing_is_compared_across_a_cut() -> None:
    flicker = Flicker()
    for level in (10, 10):
        flicker.add(grey(level), {"head": EVERYWHERE})
    flicker.cut()
    for level in (200, 200):
        flicker.add(grey(level), {"head": EVERYWHERE})
    assert flicker.row() == {}


def test_an_empty_region_has_no_figure() -> None:
    assert flicker_of([1, 2, 9], {"head": ~EVERYWHERE}) == {}
