"""When somebody speaks, by energy relative to the file's own level."""

from __future__ import annotations

import itertools

import numpy as np

SAMPLE_RATE_HZ = 16000
_FLOOR_DB = -90.0
_QUIETEST_SPEECH_DB = -60.0
"""A file whose loud parts are below this holds no speech."""
_MIN_RANGE_DB = 12.0
"""A file whose loud and quiet parts differ less has no pauses."""
_MIN_SILENCE_FRAMES, _MIN_SPEECH_FRAMES = 6, 3


def speech_activity(wav: np.ndarray, num_frames: int, *, fps: int = 25) -> np.ndarray:
    """Return whether somebody speaks in each video frame, [num_frames] bool.

    Two thresholds lie between the quiet and loud parts (hysteresis): a loud room is not taken for speech nor
    a soft consonant for a pause; pauses under a quarter of a second are filled and clicks dropped.

    Args:
        wav: Mono sound at 16 kHz, [N].
        num_frames: Video frames; sound beyond the end counts as silence.
        fps: Video frames per second.
    """
    level = frame_level_db(wav, num_frames, fps=fps)
    loud, quiet = np.percentile(level, 95), np.percentile(level, 5)
    if loud < _QUIETEST_SPEECH_DB:
        return np.zeros(num_frames, bool)
    if loud - quiet < _MIN_RANGE_DB:
        return np.ones(num_frames, bool)
    begin = max(loud - 28, quiet + 0.4 * (loud - quiet))
    end = max(loud - 34, quiet + 0.25 * (loud - quiet))
    speaking = _hysteresis(level, begin, end)
    speaking = _without_short_runs(speaking, value=False, shortest=_MIN_SILENCE_FRAMES)
    return _without_short_runs(speaking, value=True, shortest=_MIN_SPEECH_FRAMES)


def frame_level_db(wav: np.ndarray, num_frames: int, *, fps: int = 25) -> np.ndarray:
    """Return the loudest 20 ms in each video frame in dB of full scale, [num_frames], at least -90."""
    hop = SAMPLE_RATE_HZ // (2 * fps)
    length = 2 * num_frames * hop
    sound = wav[:length] if len(wav) >= length else np.pad(wav, (0, length - len(wav)))
    parts = sound.reshape(num_frames, 2, hop)
    power = (np.einsum("fph,fph->fp", parts, parts, dtype=np.float64) / hop).max(axis=1)
    return np.maximum(10 * np.log10(power + 1e-12), _FLOOR_DB)


def runs(flags: np.ndarray) -> list[tuple[int, int, bool]]:
    """Return the maximal runs (start, end, value) of a boolean sequence, in order."""
    edges = [0, *(np.flatnonzero(np.diff(flags.astype(np.int8))) + 1).tolist(), len(flags)]
    return [(a, b, bool(flags[a])) for a, b in itertools.pairwise(edges) if b > a]


def _hysteresis(level: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Keep the stretches above ``end`` that somewhere reach ``begin``."""
    above = level > end
    for start, stop, value in runs(above):
        if value and level[start:stop].max() < begin:
            above[start:stop] = False
    return above


def _without_short_runs(flags: np.ndarray, *, value: bool, shortest: int) -> np.ndarray:
    flags = flags.copy()
    for start, stop, current in runs(flags):
        if current is value and stop - start < shortest and start > 0 and stop < len(flags):
            flags[start:stop] = not value
    return flags
