"""Whether a mouth makes the shapes of the sounds it is heard with: areas under the curve of phone classes.

Speech with known phone times drives a mouth; its opening and width are read in the middle of each phone, where a stop's
middle is that of its closure. Each figure is the chance that a phone of one class has the smaller value than one of the
other class (0.5 = no articulation at all).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

FPS = 25
_STRESS = "ˈˌː"
BILABIAL, OPEN_VOWELS = frozenset("pbm"), frozenset("aɑæɐäɒ")
OTHER_CONSONANTS = frozenset("tdnkgŋszlɡ")
ROUNDED, SPREAD = frozenset("uʊwoɔyʏøœ"), frozenset("ieɪɛ")


class TimedPhone(Protocol):
    """A speech sound in IPA with its times in seconds."""

    @property
    def phone(self) -> str: ...
    @property
    def start_s(self) -> float: ...
    @property
    def release_s(self) -> float: ...


def auc(smaller: np.ndarray, larger: np.ndarray) -> float:
    """Return the chance that a value of the first set is below one of the second, ties by half; NaN if one is empty."""
    if not len(smaller) or not len(larger):
        return float("nan")
    both = np.sort(larger)
    below = np.searchsorted(both, smaller, side="left")
    ties = np.searchsorted(both, smaller, side="right") - below
    return float((len(both) - below - 0.5 * ties).mean() / len(both))


def articulation(phones: Sequence[TimedPhone], opening: np.ndarray, width: np.ndarray) -> dict[str, np.ndarray]:
    """Return the opening of ``bilabial``, ``open`` and ``other`` phones and the width of ``rounded`` and ``spread``.

    Args:
        phones: In the order of time.
        opening: Of each video frame, [T].
        width: Of the mouth in each video frame, [T].
    """
    classes = (
        ("bilabial", BILABIAL, opening),
        ("open", OPEN_VOWELS, opening),
        ("other", OTHER_CONSONANTS, opening),
        ("rounded", ROUNDED, width),
        ("spread", SPREAD, width),
    )
    return {
        name: np.array([_at(curve, p) for p in phones if _first_letter(p.phone) in letters], np.float64)
        for name, letters, curve in classes
    }


def articulation_aucs(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the three figures of values from :func:`articulation`."""
    return {
        "artic_open": auc(values["bilabial"], values["open"]),
        "artic_close": auc(values["bilabial"], values["other"]),
        "artic_round": auc(values["rounded"], values["spread"]),
    }


def _first_letter(phone: str) -> str:
    return phone.strip(_STRESS)[:1]


def _at(curve: np.ndarray, phone: TimedPhone) -> float:
    """Return a curve's value at the middle of a phone, between frames linearly (frame t is at (t + 0.5) / 25 s)."""
    middle = 0.5 * (phone.start_s + phone.release_s) * FPS - 0.5
    return float(np.interp(middle, np.arange(len(curve)), curve))
