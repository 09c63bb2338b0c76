"""Write clips: frames piped to the ffmpeg binary of imageio-ffmpeg, sound beside them, each file put in place whole."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from data_gen.synthetic.speech import SAMPLE_RATE_HZ

CRF = 16


def write_wav(path: Path, samples: npt.NDArray[np.float32]) -> None:
    """`path` is a 16-bit mono wav at 16 kHz of samples [N] in [-1, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part.wav")
    soundfile.write(part, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    os.replace(part, path)


def write_movie(
    path: Path, frames: Iterable[npt.NDArray[np.uint8]], samples: npt.NDArray[np.float32], *, size: int, fps: int
) -> None:
    """`path` is an mp4 (H.264 and AAC) of RGB frames [H, W, 3] and their sound, both starting at time 0."""
    import imageio_ffmpeg

    part = path.with_name(f".{path.stem}.part.mp4")
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        write_wav(sound, samples)
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", str(fps), "-i", "-", "-i", str(sound),
            "-c:v", "libx264", "-crf", str(CRF), "-preset", "veryfast", "-threads", "1", "-pix_fmt", "yuv420p",
            "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", "-f", "mp4", str(part),
        ]  # fmt: skip
        log = Path(folder) / "log.txt"
        with log.open("wb") as errors, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors) as process:
            assert process.stdin is not None
            try:
                for frame in frames:
                    process.stdin.write(np.ascontiguousarray(frame).tobytes())
                process.stdin.close()
            except BaseException:
                process.kill()
                part.unlink(missing_ok=True)
                raise
            code = process.wait()
        if code != 0:
            part.unlink(missing_ok=True)
            raise RuntimeError(f"ffmpeg could not write {path}: {log.read_text(errors='replace').strip()[-300:]}")
    os.replace(part, path)
