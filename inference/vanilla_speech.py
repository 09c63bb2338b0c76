"""What a renderer hears that follows the speech itself: its features or, where there are none, those of the clip.

DeepSpeech features of a sound lie beside it, where the original puts them: ``zozo.wav`` -> ``zozo_16k_deepspeech.npy``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modules.nerf.conditions import Conditions, speech_conditions, stored_speech_condition
from modules.nerf.renderers.base import HearingRenderer, SpeechWindows
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore

logger = logging.getLogger(__name__)

_MOST_MISSING = 4
"""Frames by which the features of a sound may be shorter than it: the original loses one or two at the end."""
_WINDOW, _CENTER = 16, 8


def speech_windows(
    renderer: HearingRenderer,
    store: PersonStore,
    encode: Callable[[], np.ndarray],
    *,
    deepspeech: Path | None,
    frames: np.ndarray,
) -> SpeechWindows:
    """Return the speech conditions of the frames to render, on demand.

    Args:
        renderer: Whose lips may depend on them.
        store: The person.
        encode: Gives the dataset's own speech features of the sound, [2T,C].
        deepspeech: File with DeepSpeech features of the sound, or none.
        frames: Frame of the clip whose head pose each frame shows, [T].

    Raises:
        DataError: The lips follow DeepSpeech features and there are none; or those there are belong to another sound.
    """
    if "deepspeech" in renderer.speech_kinds and deepspeech is None:
        if renderer.lips_need_speech:
            raise DataError(
                "this head's lips follow DeepSpeech features, and there are none for this sound; put them beside it as "
                "<name>_16k_deepspeech.npy, made by the original program, or give infer_deepspeech=<file>"
            )
        logger.warning(
            "no DeepSpeech features of this sound: the torso moves as in the frames of the clip whose head pose is "
            "shown; the lips follow the sound. The original's <name>_16k_deepspeech.npy beside the sound is taken"
        )
    known = load_deepspeech(deepspeech, len(frames)) if deepspeech is not None else None

    def windows(kind: str, window: int, smoothing: int) -> Conditions | Tensor:
        if kind == "deepspeech" and known is None:
            return clip_windows(store, frames)(kind, window, smoothing)
        rows = known if kind == "deepspeech" and known is not None else encode()
        rows = fit_rows(np.asarray(rows, np.float32), 2 * len(frames))
        return speech_conditions(torch.from_numpy(rows), window=window, smoothing=smoothing)

    return windows


def clip_windows(store: PersonStore, frames: np.ndarray) -> SpeechWindows:
    """Return the speech conditions of frames [T] of a person's own clip, on demand."""

    def windows(kind: str, window: int, smoothing: int) -> Tensor:
        sizes = {"window": window, "smoothing": smoothing}
        return torch.stack([stored_speech_condition(store, int(t), kind, **sizes) for t in frames])

    return windows


def find_deepspeech(sound: Path | None, given: str) -> Path | None:
    """Return the file with DeepSpeech features of a sound: the one given, else one beside the sound, else none.

    Raises:
        FileNotFoundError: The file given does not exist.
    """
    if given:
        if not Path(given).is_file():
            raise FileNotFoundError(f"no {given}; infer_deepspeech names an npy file with DeepSpeech features")
        return Path(given)
    if sound is None:
        return None
    beside = (sound.with_name(f"{sound.stem}{ending}.npy") for ending in ("_16k_deepspeech", "_deepspeech"))
    return next((path for path in beside if path.is_file()), None)


def load_deepspeech(path: Path, num_frames: int) -> np.ndarray:
    """Return rows of DeepSpeech features, [2T',C] f32, of a file of windows [T',16,C] or of rows [2T',C].

    Raises:
        DataError: It holds something else, or belongs to a sound of another length.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is no npy file of numbers ({error})") from error
    if array.ndim == 3 and array.shape[1] == _WINDOW:
        array = array[:, _CENTER : _CENTER + 2].reshape(-1, array.shape[2])
    if array.ndim != 2 or not np.isfinite(array).all():
        raise DataError(f"{path} must hold finite DeepSpeech windows [T,16,29], got {list(array.shape)}")
    missing = num_frames - len(array) // 2
    if missing > _MOST_MISSING:
        raise DataError(f"{path} has features of {len(array) // 2} frames, the sound has {num_frames}; make it anew")
    return array.astype(np.float32)


def fit_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Return exactly ``count`` rows: cut, or the last one repeated."""
    return rows[np.minimum(np.arange(count), len(rows) - 1)]
