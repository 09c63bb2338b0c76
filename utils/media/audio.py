"""Sound in any container as float32 mono at 16 kHz, and back to PCM wav."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from utils.commons.schema import DataError
from utils.data.atomic import atomic_path
from utils.media.ffmpeg import check_is_file, describe_file, run_ffmpeg

SAMPLE_RATE_HZ = 16000
_SILENT = 1e-3
"""A channel whose RMS is below this share of the other's counts as silent."""


def load_wav(path: Path | str) -> np.ndarray:
    """Return the first sound track of any media file, float32 [N] in [-1, 1] at 16 kHz, mono.

    Stereo is averaged; where one channel is silent the other is taken alone. Sound that begins later than the picture
    is preceded by silence, so that sample 0 is the instant of the first frame.

    Raises:
        FileNotFoundError: No such file.
        DataError: Not a media file, no sound track, or 0 s of sound.
    """
    path = Path(path)
    channels = min(2, _count_channels(path))
    resample = f"aresample={SAMPLE_RATE_HZ}:async=1:first_pts=0"
    with tempfile.TemporaryDirectory() as folder:  # a pipe would hold an hour's sound three times
        raw = Path(folder) / "sound.f32"
        run_ffmpeg(
            *("-i", path, "-map", "0:a:0", "-vn", "-ac", str(channels), "-af", resample, "-f", "f32le", raw),
            what=f"decode the sound of {path}",
        )
        sound = np.fromfile(raw, np.float32).reshape(-1, channels)
    if len(sound) == 0:
        raise DataError(f"{path} holds 0 s of sound; give a recording with speech")
    return mix_down(sound)


def mix_down(sound: np.ndarray) -> np.ndarray:
    """Return the mean of the channels [N,C], or the only one that is not silent."""
    energy = np.einsum("nc,nc->c", sound, sound, dtype=np.float64, casting="safe")
    loud = np.flatnonzero(energy > _SILENT**2 * energy.max())
    return np.ascontiguousarray(sound[:, loud[0]]) if len(loud) == 1 else sound.mean(axis=1, dtype=np.float32)


def _count_channels(path: Path) -> int:
    import av

    check_is_file(path, "sound or video")
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                is_other = any(mark in container.format.name for mark in ("_pipe", "image2", "tty"))
                is_video = bool(container.streams.video) and not is_other
                kind = "a video without sound" if is_video else describe_file(path)
                raise DataError(f"{path} has no audio track: it is {kind}; give a file with speech")
            return int(container.streams.audio[0].channels)
    except av.FFmpegError as error:
        raise DataError(f"{path} is not a sound file but {describe_file(path)}; give wav, mp3, m4a or mp4") from error


def save_wav(path: Path, wav: np.ndarray, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write ``wav`` [N] or [N,C] atomically as 16-bit PCM."""
    import soundfile

    with atomic_path(path) as temporary:
        soundfile.write(temporary, np.clip(wav, -1.0, 1.0), sample_rate_hz, subtype="PCM_16")
