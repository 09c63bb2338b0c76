"""Features of the Moonshine tiny encoder (MIT licence), which comes inside the ``moonshine_voice`` package.

The encoder's output depends on the position in a pass, so sound is encoded in windows of 4 s every 1 s and blended with
triangular weights: each row is dominated by windows that hold it near their middle. The ends are mirrored, so that
this is true there too, and a short clip is treated as the same stretch of a long one. Windows are encoded side by side
in threads and added in order: memory does not grow with the length but for the result itself. They cannot be encoded
as one batch: the network is quantised, and its scales come from all that is in a batch.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modules.audio.base import HOP, SAMPLE_RATE_HZ, fit_to_frames
from utils.commons.threads import ordered_map

_WINDOW, _STEP = 4 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ
_ENCODER_HOP, _FIRST_CENTER = 384, 447.5
"""Samples between encoder frames, and the middle of the first one's receptive field of 895 samples."""
_DIM = 288


def _encoder_path() -> Path:
    spec = importlib.util.find_spec("moonshine_voice")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package moonshine-voice is not installed; pip install -r requirements.txt")
    return Path(spec.submodule_search_locations[0]) / "assets" / "tiny-en" / "encoder_model.ort"


@functools.cache
def _session() -> Any:
    import onnxruntime

    path = _encoder_path()
    if not path.exists():
        raise FileNotFoundError(f"no Moonshine encoder at {path}; install moonshine-voice==0.0.73, which carries it")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@functools.cache
def _zscore() -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(__file__).with_name("moonshine_zscore.npz"), allow_pickle=False) as constants:
        return constants["mean"].astype(np.float32), constants["std"].astype(np.float32)


class MoonshineEncoder:
    """Moonshine features, every dimension scaled by fixed constants."""

    name = "moonshine"
    dim = _DIM
    reach_s: int | None = 4
    """The length of a window."""

    def __init__(self, num_threads: int = 0) -> None:
        """Take the number of windows encoded side by side; 0 = torch's threads when it encodes."""
        self.num_threads = num_threads

    def encode(self, wav: np.ndarray) -> np.ndarray:
        """Return features [2T,288] f32."""
        mean, std = _zscore()
        features = self.encode_raw(wav)
        features -= mean
        features /= std
        return features

    def encode_raw(self, wav: np.ndarray) -> np.ndarray:
        """Return features [2T,288] f32 before scaling."""
        wav = fit_to_frames(wav)
        num_rows = len(wav) // HOP
        total = np.zeros((num_rows, _DIM), np.float32)
        weights = np.zeros((num_rows, 1), np.float32)
        starts = range(_STEP - _WINDOW, len(wav), _STEP)
        _session()  # threads must not load it twice
        windows = ordered_map(
            functools.partial(_window_rows, wav, num_rows), starts, self.num_threads or torch.get_num_threads()
        )
        for start, (rows, values) in zip(starts, windows, strict=True):
            weight = 1 - np.abs(rows * HOP + HOP / 2 - start - _WINDOW / 2) / (_WINDOW / 2)
            total[rows] += weight[:, None].astype(np.float32) * values
            weights[rows, 0] += weight
        total /= weights
        return total


def _window_rows(wav: np.ndarray, num_rows: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose instant lies between a window's first and last encoder frame, and their values."""
    window = _mirrored(wav, start, start + _WINDOW)
    inputs = {"input_values": window[None], "attention_mask": np.ones((1, len(window)), np.int64)}
    frames = _session().run(None, inputs)[0][0]
    rows = np.arange(max(0, start // HOP), min(num_rows, (start + _WINDOW) // HOP))
    position = (rows * HOP + HOP / 2 - start - _FIRST_CENTER) / _ENCODER_HOP
    inside = (position >= 0) & (position <= len(frames) - 1)
    rows, position = rows[inside], position[inside]
    left = np.minimum(position.astype(np.int64), len(frames) - 2)
    share = (position - left)[:, None].astype(np.float32)
    return rows, frames[left] * (1 - share) + frames[left + 1] * share


def _mirrored(wav: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return samples ``start ... stop - 1`` of the sound continued by its mirror image on both sides."""
    period = 2 * len(wav)
    index = np.arange(start, stop) % period
    return wav[np.minimum(index, period - 1 - index)]
