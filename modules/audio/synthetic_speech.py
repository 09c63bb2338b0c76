"""Speech with exactly known phone times, by espeak-ng (a tool loaded at run time through `espeakng_loader`).

espeak-ng keeps state between utterances, so every call runs the engine in a process of its own; the same texts and
voice then always give the same samples. Times are seconds from the first sample.
"""

from __future__ import annotations

import base64
import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16000
VOICES = {
    "en-us": "en-us", "en-gb": "en", "de": "de", "es": "es", "fr": "fr", "it": "it", "pt": "pt", "nl": "nl",
    "sv": "sv", "pl": "pl", "ru": "ru", "tr": "tr", "cmn": "cmn",
}  # fmt: skip
"""Language names of ours and the voice of espeak-ng that speaks each."""
FloatArray = npt.NDArray[np.float64]
_ENGINE = Path(__file__).with_name("espeak_engine.py")
_STOPS = frozenset("pbtdkgqcɟʈɖɡ")


class VoiceError(ValueError):
    """The user asked for a voice that does not exist."""


@dataclass(frozen=True)
class Phone:
    """One speech sound in IPA; an empty string is silence. The closure of a stop belongs to the stop."""

    phone: str
    start_s: float
    end_s: float
    release_s: float
    """When a closed sound opens: the burst of a stop, the end of every other phone."""


@dataclass(frozen=True)
class Utterance:
    """Samples in [-1, 1], [N] at 16 kHz, and their phones in order."""

    samples: npt.NDArray[np.float32]
    phones: tuple[Phone, ...]


@functools.cache
def variants() -> tuple[str, ...]:
    """Voice variants (man, woman, age) that may follow a language after a plus sign."""
    import espeakng_loader

    names = sorted(path.name for path in (Path(espeakng_loader.get_data_path()) / "voices" / "!v").iterdir())
    return tuple(name for name in names if len(name) == 2 and name[0] in "mf")


def check_voice(voice: str) -> str:
    """The name espeak-ng knows `voice` by, such as `en+f2` for `en-gb+f2`.

    Raises:
        VoiceError: There is no such language or variant; the message lists those there are.
    """
    language, _, variant = voice.partition("+")
    if language not in VOICES or (variant and variant not in variants()):
        known = f"{', '.join(VOICES)}; each may be followed by one of +{', +'.join(variants())}"
        raise VoiceError(f"unknown voice {voice!r}; there are {known}")
    return VOICES[language] + (f"+{variant}" if variant else "")


def _run_engine(
    texts: Sequence[str], voice: str, words_per_minute: int
) -> list[tuple[FloatArray, list[tuple[str, int]], int]]:
    """Samples in [-1, 1], (IPA, first sample) of each phoneme event, and the sample rate, of each text."""
    import espeakng_loader

    job = {
        "library": espeakng_loader.get_library_path(), "data": espeakng_loader.get_data_path(), "voice": voice,
        "words_per_minute": words_per_minute, "texts": list(texts),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(_ENGINE)], input=json.dumps(job).encode(), capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"espeak-ng failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    found = []
    for line in done.stdout.decode().splitlines():
        answer = json.loads(line)
        wave = np.frombuffer(base64.b64decode(answer["wave"]), "<i2")
        found.append((wave.astype(np.float64) / 32768, [(p, s) for p, s in answer["events"]], int(answer["rate_hz"])))
    return found


def _closure_start(level: FloatArray, hop_s: float, burst_s: float, floor_s: float) -> float:
    """When the silence before a burst began: the engine reports a stop only from its burst on."""
    quiet = 0.06 * level.max()
    i = int(burst_s / hop_s) - 1
    while i > 0 and i * hop_s > max(floor_s, burst_s - 0.12) and level[i] < quiet:
        i -= 1
    return min(burst_s, (i + 1) * hop_s)


def _phones(samples: FloatArray, rate_hz: int, events: list[tuple[str, int]]) -> tuple[Phone, ...]:
    """Phones with closures given back to their stops, without gaps from 0 to the end."""
    hop = rate_hz // 200
    blocks = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level = np.sqrt((blocks**2).mean(axis=1)) if len(blocks) else np.zeros(1)
    sounds = [(p.strip(), s / rate_hz) for p, s in events if not p.startswith("(")]
    starts: list[float] = []
    releases: list[float] = []
    for i, (ipa, start) in enumerate(sounds):
        is_stop = bool(set(ipa) & _STOPS) and "s" not in ipa
        floor = starts[-1] + 0.4 * (start - starts[-1]) if starts else 0.0
        after_pause = i > 0 and not sounds[i - 1][0]
        floor = start - 0.06 if after_pause else floor
        starts.append(_closure_start(level, hop / rate_hz, start, floor) if is_stop else start)
        releases.append(start)
    ends = [*starts[1:], len(samples) / rate_hz]
    found = []
    for (ipa, _), start, end, release in zip(sounds, starts, ends, releases, strict=True):
        if end > start:
            found.append(Phone(ipa, start, end, release if release > start else end))
    if found and found[0].start_s > 0:
        found.insert(0, Phone("", 0.0, found[0].start_s, found[0].start_s))
    return tuple(found)


def synthesize(texts: Sequence[str], voice: str = "en-us", words_per_minute: int = 165) -> list[Utterance]:
    """Speech of each text at 16 kHz, level-normalised, with its phones; the same call gives the same samples."""
    from scipy.signal import resample_poly

    found = []
    for text, (raw, events, rate_hz) in zip(
        texts, _run_engine(texts, check_voice(voice), words_per_minute), strict=True
    ):
        if not len(raw) or not events:
            raise ValueError(f"espeak-ng made no speech of {text!r} with voice {voice!r}")
        samples = resample_poly(raw, SAMPLE_RATE_HZ, rate_hz)
        peak = max(1e-6, float(np.abs(samples).max()))
        found.append(Utterance((samples * (0.7 / peak)).astype(np.float32), _phones(raw, rate_hz, events)))
    return found


def join(utterances: list[Utterance], pauses_s: list[float], duration_s: float) -> Utterance:
    """The utterances one after the other with silences before each, cut or filled to `duration_s` exactly."""
    total = round(duration_s * SAMPLE_RATE_HZ)
    samples = np.zeros(total, np.float32)
    phones: list[Phone] = []
    at = 0
    for utterance, pause in zip(utterances, pauses_s, strict=True):
        at += round(pause * SAMPLE_RATE_HZ)
        part = utterance.samples[: max(0, total - at)]
        samples[at : at + len(part)] = part
        offset = at / SAMPLE_RATE_HZ
        phones += [Phone(p.phone, p.start_s + offset, p.end_s + offset, p.release_s + offset) for p in utterance.phones]
        at += len(utterance.samples)
    kept = [p for p in phones if p.start_s < duration_s and p.phone]
    cut = [Phone(p.phone, p.start_s, min(p.end_s, duration_s), min(p.release_s, duration_s)) for p in kept]
    return Utterance(samples, tuple(cut))
