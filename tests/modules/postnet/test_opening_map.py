"""The opening map gives predicted mouths the person's distribution of openings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modules.postnet.opening_map import OpeningMap, widening
from tests.support.tiny_corpus import tiny_clip


def _person() -> tuple[torch.Tensor, torch.Tensor]:
    lm3d = torch.from_numpy(tiny_clip(1, 0, 400, 4).lm3d.reshape(400, -1))
    neutral = lm3d.mean(0)
    return lm3d - neutral, neutral


def test_a_timid_prediction_gets_the_true_openings_and_keeps_its_order() -> None:
    true, neutral = _person()
    timid = 0.6 * true
    opening_map = OpeningMap()
    opening_map.fit(timid, true, neutral)
    mapped = opening_map(timid[None])[0]
    wanted, got, before = (opening_map.opening(m).numpy() for m in (true, mapped, timid))
    assert np.abs(got - wanted).mean() < 0.15 * np.abs(before - wanted).mean()
    assert np.corrcoef(got, before)[0, 1] > 0.98
    upper = slice(51, 144)
    torch.testing.assert_close(mapped[:, upper], timid[:, upper], atol=0, rtol=0)


def test_a_prediction_with_the_right_openings_hardly_moves() -> None:
    true, neutral = _person()
    opening_map = OpeningMap()
    opening_map.fit(true, true, neutral)
    assert (opening_map(true[None])[0] - true).abs().max() < 0.03


def test_the_width_of_the_mouth_is_left_alone_where_it_does_not_follow_the_opening() -> None:
    true, neutral = _person()
    opening_map = OpeningMap()
    opening_map.fit(0.6 * true, true, neutral)
    mapped = opening_map(0.6 * true[None])[0]
    before, after = (
        (m.unflatten(-1, (68, 3))[:, 54, 0] - m.unflatten(-1, (68, 3))[:, 48, 0]) for m in (0.6 * true, mapped)
    )
    assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.95


def test_a_prediction_that_explains_little_is_closed_but_not_widened() -> None:
    true, neutral = _person()
    other = torch.from_numpy(np.random.default_rng(0).permutation(400))
    weak = 0.35 * true + 0.35 * true[other]  # correlates by some .7, and is timid
    opening_map = OpeningMap()
    opening_map.fit(weak, true, neutral)
    before, after, wanted = (opening_map.opening(m) for m in (weak, opening_map(weak[None])[0], true))
    low, high = (torch.stack([o.quantile(level) for o in (before, after, wanted)]) for level in (0.1, 0.9))
    assert (low[1] - low[2]).abs() < 0.2 * (low[0] - low[2]).abs()
    assert high[1] - high[0] < 0.2 * (high[2] - high[0])


def test_openings_are_widened_as_far_as_they_are_explained() -> None:
    numbers = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 500)))
    first = (numbers[0] - numbers[0].mean()) / numbers[0].std()
    second = numbers[1] - numbers[1].mean() - (first * numbers[1]).mean() * first
    second = second / second.std()
    for r, wanted in ((0.5, 0.0), (0.7, 0.0), (0.9, 0.62), (1.0, 1.0)):
        assert widening(first, r * first + (1 - r * r) ** 0.5 * second) == pytest.approx(wanted, abs=0.02)
    assert widening(first, torch.zeros(500)) == 0


def test_more_video_allows_more_widening_whatever_the_prediction_is_worth() -> None:
    for frames, wanted in ((400, 0.0), (2750, 0.5), (5000, 1.0), (90000, 1.0)):
        frame = torch.arange(frames)
        assert widening(frame % 2.0, frame // 2 % 2.0) == pytest.approx(wanted)  # they have nothing in common
