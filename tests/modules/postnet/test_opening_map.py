"""The opening map gives predicted mouths the person's distribution of openings."""

from __future__ import annotations

import numpy as np
import torch

from modules.postnet.opening_map import OpeningMap
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
