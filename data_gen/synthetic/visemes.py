"""Phones to face actions: a target for every sound, blended by dominance, with contacts of the lips enforced.

Targets overlap as in Cohen and Massaro's model: each phone pulls with a weight that falls off exponentially in time.
Closures (p b m) and the lip-to-teeth contact (f v) are then imposed, because a blend alone never quite closes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modules.audio.synthetic_speech import Phone

FloatArray = npt.NDArray[np.float64]
SEAL = 0.05
"""`mouthClose` beyond `jawOpen` at which the lips of the mesh just touch."""
CHANNELS = ("open", "close", "funnel", "pucker", "stretch", "smile", "upper", "lower", "tuck", "press", "tongue")
REST: dict[str, float] = {"close": 0.045, "press": 0.05}
TARGETS: dict[str, dict[str, float]] = {
    "closed": {"open": 0.03, "close": 0.03 + SEAL + 0.025, "press": 0.16},
    "labiodental": {"open": 0.07, "close": 0.02, "tuck": 0.62, "upper": 0.34, "stretch": 0.05},
    "dental": {"open": 0.13, "tongue": 0.32, "lower": 0.18, "upper": 0.10},
    "alveolar": {"open": 0.12, "lower": 0.20, "upper": 0.10, "stretch": 0.06, "tongue": 0.08},
    "hiss": {"open": 0.05, "lower": 0.40, "upper": 0.26, "stretch": 0.26},
    "hush": {"open": 0.07, "funnel": 0.50, "pucker": 0.26, "lower": 0.12, "upper": 0.10},
    "velar": {"open": 0.17, "lower": 0.12, "upper": 0.05},
    "r": {"open": 0.10, "funnel": 0.22, "pucker": 0.34},
    "w": {"open": 0.04, "pucker": 0.88, "funnel": 0.12},
    "u": {"open": 0.08, "pucker": 0.76, "funnel": 0.20},
    "y": {"open": 0.07, "pucker": 0.70, "funnel": 0.24},
    "o": {"open": 0.22, "pucker": 0.46, "funnel": 0.24},
    "open_o": {"open": 0.33, "funnel": 0.24, "pucker": 0.18},
    "a": {"open": 0.44, "lower": 0.12, "upper": 0.10, "stretch": 0.06},
    "ae": {"open": 0.37, "stretch": 0.26, "upper": 0.16, "lower": 0.14},
    "uh": {"open": 0.28, "lower": 0.08, "upper": 0.04},
    "schwa": {"open": 0.18, "lower": 0.06, "upper": 0.03},
    "e": {"open": 0.23, "stretch": 0.26, "smile": 0.10, "lower": 0.12, "upper": 0.08},
    "i": {"open": 0.11, "stretch": 0.36, "smile": 0.22, "lower": 0.18, "upper": 0.10},
    "h": {"open": 0.19},
    "rest": REST,
}  # fmt: skip
_CLASSES = {
    "closed": "pbmɓɸβ", "labiodental": "fvɱʋ", "dental": "θð", "alveolar": "tdnlɾɹʈɖɳɫɬɮrⱱɽ",
    "hiss": "szɕʑ", "hush": "ʃʒʂʐ",
    "velar": "kgɡŋxɣqχʁɴɲcɟçʎʝʀ", "w": "wɥʍ", "u": "uʊɯ", "y": "yʏøœɵ", "o": "oɤ", "open_o": "ɔɒ", "a": "aɑäɐ",
    "ae": "æ", "uh": "ʌɜɞɝ", "schwa": "əɘɚ", "e": "eɛ", "i": "iɪjɨʉ", "h": "hɦʔʕħ",
}  # fmt: skip
VISEME_OF_LETTER = {letter: name for name, letters in _CLASSES.items() for letter in letters} | {"ɹ": "r"}
_VOWELS = frozenset({"a", "ae", "uh", "e", "i", "o", "open_o", "u", "y", "schwa"})
_STRENGTH = {"closed": 0.7, "labiodental": 0.9, "w": 1.6, "u": 1.5, "y": 1.4, "o": 1.3, "hush": 1.5, "rest": 1.1,
             "schwa": 0.6, "h": 0.3, "velar": 0.45, "alveolar": 0.7, "hiss": 1.2}  # fmt: skip
_STRESS = "ˈˌ"
_SUBSTEPS = 8


def visemes_of(phone: str) -> list[str]:
    """The mouth shapes of one IPA phone in order; a diphthong or an affricate has two, silence is `rest`."""
    names = [VISEME_OF_LETTER[letter] for letter in phone if letter in VISEME_OF_LETTER]
    merged = [n for i, n in enumerate(names) if i == 0 or n != names[i - 1]]
    return merged or (["schwa"] if phone.strip(_STRESS + "ː") else ["rest"])


def _segments(phones: Sequence[Phone], duration_s: float) -> list[tuple[str, float, float, float]]:
    """(viseme, start, end, loudness) without gaps: pauses become `rest`, diphthongs are halved."""
    found: list[tuple[str, float, float, float]] = []
    at = 0.0
    for phone in phones:
        if phone.start_s - at > 0.02:
            found.append(("rest", at, phone.start_s, 1.0))
        names = visemes_of(phone.phone)
        edges = np.linspace(phone.start_s, phone.end_s, len(names) + 1)
        loud = 1.12 if "ˈ" in phone.phone else 0.95
        found += [(n, float(edges[i]), float(edges[i + 1]), loud) for i, n in enumerate(names)]
        at = phone.end_s
    if duration_s - at > 0.0 or not found:
        found.append(("rest", at, max(duration_s, at + 0.1), 1.0))
    return found


def _target(name: str, loud: float) -> FloatArray:
    gain = loud if name in _VOWELS else 1.0
    return np.array([TARGETS[name].get(c, 0.0) * (gain if c != "close" else 1.0) for c in CHANNELS])


def _blend(segments: list[tuple[str, float, float, float]], times: FloatArray) -> FloatArray:
    """Dominance-weighted mean of the targets, [N, C]."""
    total, weight = np.zeros((len(times), len(CHANNELS))), np.full((len(times), 1), 1e-9)
    for name, start, end, loud in segments:
        reach = slice(*np.searchsorted(times, [start - 0.35, end + 0.35]))
        t = times[reach]
        outside = np.maximum(np.maximum(start - t, t - end), 0.0)
        center, half = 0.5 * (start + end), max(0.5 * (end - start), 0.01)
        inside = 1.0 - 0.5 * np.clip(np.abs(t - center) / half, 0, 1) ** 2
        pull = _STRENGTH.get(name, 1.0) * inside * np.exp(-outside / (0.055 if name == "rest" else 0.040))
        total[reach] += pull[:, None] * _target(name, loud)
        weight[reach] += pull[:, None]
    return total / weight


def _contact(phones: Sequence[Phone], times: FloatArray, viseme: str) -> FloatArray:
    """How firmly a contact of the lips is held, [N] in [0, 1]: 1 while the sound is closed, with short ramps."""
    held = np.zeros(len(times))
    for phone in phones:
        if viseme not in visemes_of(phone.phone):
            continue
        start, end = phone.start_s, max(phone.release_s, phone.start_s + 0.02)
        if viseme == "closed" and phone.release_s < phone.end_s:
            end = max(end, 0.5 * (phone.start_s + phone.end_s))
        reach = slice(*np.searchsorted(times, [start - 0.1, end + 0.1]))
        t = times[reach]
        rise = np.clip((t - (start - 0.03)) / 0.035, 0, 1)
        fall = np.clip(((end + 0.03) - t) / 0.035, 0, 1)
        ramp = np.minimum(rise, fall)
        held[reach] = np.maximum(held[reach], ramp * ramp * (3 - 2 * ramp))
    return held


def mouth_channels(phones: Sequence[Phone], num_frames: int, fps: int) -> FloatArray:
    """Mouth shape of each frame, [T, C] as `CHANNELS`; frame i covers the sound from i / fps to (i + 1) / fps."""
    step = 1.0 / (fps * _SUBSTEPS)
    times = (np.arange(num_frames * _SUBSTEPS) + 0.5) * step
    mouth = _blend(_segments(phones, num_frames / fps), times)
    mouth = mouth.reshape(num_frames, _SUBSTEPS, -1).mean(axis=1)
    for viseme in ("labiodental", "closed"):
        held = _contact(phones, times, viseme).reshape(num_frames, _SUBSTEPS)[:, 2:-2].max(axis=1)
        middles = [(p.start_s + p.end_s) / 2 * fps for p in phones if viseme in visemes_of(p.phone)]
        held[[int(m) for m in middles if m < num_frames]] = 1.0  # a contact too short for the frames is still seen
        held = held[:, None]
        goal = np.tile(_target(viseme, 1.0), (num_frames, 1))
        for c in ("pucker", "funnel", "stretch", "smile"):
            k = CHANNELS.index(c)
            goal[:, k] += (0.9 if c == "pucker" else 0.35 if c != "funnel" else 0.1) * mouth[:, k]
        mouth = (1 - held) * mouth + held * goal
    return mouth


def mouth_actions(mouth: FloatArray, names: Sequence[str], articulation: float = 1.0) -> npt.NDArray[np.float32]:
    """The channels [T, C] as weights of the named actions, [T, A].

    Args:
        mouth: From `mouth_channels`.
        names: Action names of the mesh.
        articulation: How widely this person opens the mouth; 1 is clear speech.
    """
    c = {name: mouth[:, k] for k, name in enumerate(CHANNELS)}
    jaw = c["open"] * articulation
    both = {
        "mouthStretch": c["stretch"], "mouthSmile": 0.6 * c["smile"], "mouthUpperUp": c["upper"],
        "mouthLowerDown": c["lower"],
        "mouthPress": c["press"], "mouthDimple": 0.25 * c["stretch"],
    }  # fmt: skip
    weights = {
        "jawOpen": jaw, "mouthClose": np.maximum(0.0, c["close"] + (jaw - c["open"]) * (c["close"] > c["open"])),
        "mouthFunnel": c["funnel"], "mouthPucker": c["pucker"], "mouthRollLower": c["tuck"], "tongueOut": c["tongue"],
    } | {f"{name}{side}": value for name, value in both.items() for side in ("Left", "Right")}  # fmt: skip
    out = np.zeros((len(mouth), len(names)), np.float32)
    for name, value in weights.items():
        out[:, names.index(name)] = np.clip(value, 0.0, 1.0)
    return out
