from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.clips import ffmpeg, tone, write_clip
from utils.commons.schema import DataError
from utils.media.audio import load_wav, mix_down, save_wav


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "m4a", "ogg", "mp4"])
def test_every_container_gives_the_same_sound(tmp_path: Path, suffix: str) -> None:
    wav = tone(1.0)
    wav[6000:] *= 0.1
    save_wav(tmp_path / "a.wav", wav)
    path = tmp_path / f"b.{suffix}"
    ffmpeg("-i", tmp_path / "a.wav", "-ar", "48000", "-ac", "2", path)
    back = load_wav(path)
    assert back.dtype == np.float32
    assert abs(len(back) - len(wav)) <= 1200  # mp3 and ogg may keep a frame of padding
    loudness = np.convolve(np.abs(back), np.full(200, 1 / 200), "same")
    step = int(np.argmin(np.abs(loudness[3000:9000] - 0.55 * loudness[3000:5000].mean()))) + 3000
    assert abs(step - 6000) < 120  # 7 ms


def test_sample_rate_is_converted_without_changing_the_pitch(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, 440, rate=44100), 44100)
    spectrum = np.abs(np.fft.rfft(load_wav(tmp_path / "a.wav")))
    assert abs(int(spectrum.argmax()) - 440) <= 1


def test_stereo_is_averaged(tmp_path: Path) -> None:
    left, right = tone(0.5, 200), tone(0.5, 300)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 16000)
    np.testing.assert_allclose(load_wav(tmp_path / "a.wav"), (left + right) / 2, atol=1e-4)


@pytest.mark.parametrize("silent", [0, 1])
def test_a_silent_channel_does_not_halve_the_other(silent: int) -> None:
    voice = tone(0.5)
    channels = [voice, voice]
    channels[silent] = np.zeros_like(voice)
    np.testing.assert_array_equal(mix_down(np.stack(channels, 1)), voice)


def test_silence_in_both_channels_stays_silence() -> None:
    assert not mix_down(np.zeros((100, 2), np.float32)).any()


def test_sound_that_starts_late_keeps_its_time(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "v.mp4", frames=50)
    save_wav(tmp_path / "a.wav", tone(1.0))
    late = tmp_path / "late.mkv"
    ffmpeg(
        "-i", video, "-itsoffset", "0.5", "-i", tmp_path / "a.wav", "-map", "0:v", "-map", "1:a", "-c:v", "copy", late
    )
    wav = load_wav(late)
    assert abs(len(wav) - 24000) <= 32
    assert np.abs(wav[:7900]).max() < 0.01
    assert np.abs(wav[8100:16000]).max() > 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: soundfile.write(p, np.zeros(0, np.float32), 16000), "holds 0 s of sound"),
        (lambda p: p.write_text("hello\n" * 100), "a text file"),
        (lambda p: p.write_bytes(b""), "an empty file"),
    ],
)
def test_bad_sound_files_are_named(tmp_path: Path, make: object, message: str) -> None:
    make(tmp_path / "a.wav")  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        load_wav(tmp_path / "a.wav")


def test_a_video_without_sound_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no audio track: it is a video without sound"):
        load_wav(write_clip(tmp_path / "v.mp4", frames=3))
    with pytest.raises(FileNotFoundError, match=r"no sound or video at .*nowhere"):
        load_wav(tmp_path / "nowhere.wav")
