"""Noise of the landmarker taken out of landmark sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.signal import savgol_filter

_ORDER = 2


def smooth_landmarks(
    lm3d: np.ndarray, valid: np.ndarray, segments: Sequence[tuple[int, int]], window: int
) -> np.ndarray:
    """Return landmarks [T,68,3] with a parabola fitted to each coordinate in ``window`` frames around every frame.

    Uniform and accelerated motion stays as it is (Savitzky and Golay 1964); with five frames independent noise keeps
    70 % of its deviation. A renderer shown noisy landmarks learns lips and lids that are blurred by that noise, and for
    nothing: landmarks predicted from speech have none.

    Args:
        lm3d: Landmarks in cm, pose removed.
        valid: Whether a face was seen, [T]; other frames stay as they are and disturb none.
        segments: Uncut frame ranges; no window reaches across a cut, and segments shorter than one stay as they are.
        window: Frames, odd; below 3 nothing is done.
    """
    smooth = np.array(lm3d)
    if window < 3:
        return smooth
    for start, end in segments:
        seen = np.flatnonzero(valid[start:end])
        if end - start >= window and len(seen):
            given = _filled(lm3d[start:end], seen)
            parabolas = savgol_filter(given, window, _ORDER, axis=0, mode="interp")
            # a parabola may shoot beyond a short blink, and lids that cross fold the face
            low, high = (
                extreme(given, window, axis=0, mode="nearest") for extreme in (minimum_filter1d, maximum_filter1d)
            )
            parabolas = parabolas.clip(low, high)
            smooth[start + seen] = parabolas[seen]
    return smooth


def _filled(lm3d: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return landmarks [T,68,3] with lines drawn between the frames ``seen``."""
    if len(seen) == len(lm3d):
        return lm3d
    position = np.interp(np.arange(len(lm3d)), seen, np.arange(len(seen)))
    before = np.floor(position).astype(int)
    after, share = np.minimum(before + 1, len(seen) - 1), (position - before)[:, None, None]
    return (1 - share) * lm3d[seen[before]] + share * lm3d[seen[after]]
