"""Areas under the curve of phone classes on curves whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from utils.metrics.articulation import articulation, articulation_aucs, auc


@dataclass(frozen=True)
class _Phone:
    phone: str
    start_s: float
    release_s: float


def test_auc_counts_ordered_pairs_and_halves_ties() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert np.isnan(auc(np.zeros(0), np.ones(3)))


def test_a_mouth_that_closes_for_bilabials_and_rounds_for_u_scores_one_and_its_mirror_zero() -> None:
    letters = ["p", "ˈaː", "t", "u", "iː", "m", "ɑ", "k", "o", "e"]
    phones = [_Phone(letter, 0.2 * i, 0.2 * i + 0.2) for i, letter in enumerate(letters)]
    opening, width = np.full(50, 0.5), np.full(50, 0.5)
    for i, letter in enumerate(letters):
        middle = slice(5 * i, 5 * i + 5)
        opening[middle] = 0.0 if letter in "pm" else 1.0 if letter in ("ˈaː", "ɑ") else 0.5
        width[middle] = 0.2 if letter in "uo" else 0.8
    good = articulation_aucs(articulation(phones, opening, width))
    bad = articulation_aucs(articulation(phones, -opening, -width))
    assert set(good.values()) == {1.0}
    assert set(bad.values()) == {0.0}
