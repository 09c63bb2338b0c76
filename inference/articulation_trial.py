"""Synthetic speech with known phone times drives a person; the lips are read at the phones."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from inference.scoring import Row
from modules.audio.synthetic_speech import Phone, synthesize
from utils.metrics.articulation import articulation, articulation_aucs
from utils.metrics.lipsync import eye_distance, lip_opening

VOICES = ("en-us+f3", "en-gb+m5", "de+m2", "it+f4")
_ENGLISH = (
    "Bad maps about Alabama made my mamma pack a bag.", "You should move two cool boots to my room.",
    "He keeps these cheap beads beneath the green tree.", "The papa of a palm stopped by a barn at dark.",
    "A good book took a bit of time to make.", "We did it: six sticks, ten nets and a tin.",
)  # fmt: skip
_TEXTS = {
    "en-us": _ENGLISH,
    "en-gb": _ENGLISH,
    "de": ("Am Abend malt Barbara Bäume, Berge und Boote.", "Du sollst nur gute Bücher suchen.",
           "Sie sieht die vielen Tiere im Winter.", "Mama packt am Markt Paprika und Brot ein."),
    "it": ("La bambina ama la barca e la palla bianca.", "Tutti i fiumi piccoli arrivano qui.",
           "Mia mamma abita a Bari, papà a Parma.", "Un uomo buono suona la tuba.",),
}  # fmt: skip
_PAUSE_SAMPLES = 6400


@functools.cache
def spoken_test(voice: str) -> tuple[np.ndarray, tuple[Phone, ...]]:
    """Return sound [N] at 16 kHz and its phones; sentences are parted by pauses, and no model was trained on them."""
    samples: list[np.ndarray] = []
    phones: list[Phone] = []
    at = _PAUSE_SAMPLES
    samples.append(np.zeros(at, np.float32))
    for utterance in synthesize(_TEXTS[voice.partition("+")[0]], voice):
        offset = at / 16000
        phones += [Phone(p.phone, p.start_s + offset, p.end_s + offset, p.release_s + offset) for p in utterance.phones]
        samples += [utterance.samples, np.zeros(_PAUSE_SAMPLES, np.float32)]
        at += len(utterance.samples) + _PAUSE_SAMPLES
    return np.concatenate(samples), tuple(phones)


def articulation_row(landmarks: Callable[[np.ndarray], np.ndarray]) -> Row:
    """Return ``artic_*`` over all voices: sound [N] to landmarks [T,68,3] is what is tested."""
    gathered: dict[str, list[np.ndarray]] = {}
    for voice in VOICES:
        wav, phones = spoken_test(voice)
        points = landmarks(wav)
        width = np.linalg.norm(points[:, 48, :2] - points[:, 54, :2], axis=-1) / eye_distance(points)
        for name, values in articulation(phones, lip_opening(points), width).items():
            gathered.setdefault(name, []).append(values)
    return articulation_aucs({name: np.concatenate(values) for name, values in gathered.items()})
