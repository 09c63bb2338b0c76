from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.audio import build_speech_encoder, extract_f0, fit_to_frames, frames_of
from modules.audio.mel import log_mel
from modules.audio.moonshine import MoonshineEncoder
from tests.support.clips import tone
from utils.commons.schema import ConfigError, DataError


def _speechlike(seconds: float, seed: int = 0) -> np.ndarray:
    """Return noise with syllables: 4 bursts a second of changing pitch and color."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(round(seconds * 4)):
        voice = tone(0.25, rng.uniform(90, 250), level=rng.uniform(0.05, 0.4)) * np.hanning(4000)
        parts.append(voice + rng.normal(0, 0.002, 4000))
    return np.concatenate(parts).astype(np.float32)


@given(st.integers(0, 3_000_000))
def test_frames_are_the_rounded_duration(num_samples: int) -> None:
    frames = frames_of(num_samples)
    assert frames >= 1
    assert frames == 1 or abs(frames * 640 - num_samples) <= 320


@pytest.mark.parametrize("num_samples", [1, 319, 640, 961, 16000, 16319, 16321, 70001])
def test_every_encoder_gives_two_rows_a_frame(num_samples: int) -> None:
    wav = _speechlike(5)[:num_samples]
    encoder = build_speech_encoder("moonshine+mel")
    features = encoder.encode(wav)
    assert features.shape == (2 * frames_of(num_samples), encoder.dim) == (len(extract_f0(wav)), 368)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_joined_features_are_the_parts_side_by_side() -> None:
    wav = _speechlike(2)
    joined = build_speech_encoder("mel+moonshine")
    assert joined.name == "mel+moonshine"
    np.testing.assert_array_equal(joined.encode(wav)[:, :80], build_speech_encoder("mel").encode(wav))
    np.testing.assert_array_equal(joined.encode(wav)[:, 80:], build_speech_encoder("moonshine").encode(wav))


def _held_out_fit(features: np.ndarray, target: np.ndarray, lag: int) -> float:
    """Return the correlation of a ridge regression from rows ``t`` to ``target[t + lag]``, second half held out."""
    x, y = features[10 : len(target) - 10], target[10 + lag : len(target) - 10 + lag]
    half = len(x) // 2
    weights = np.linalg.solve(x[:half].T @ x[:half] + 30 * np.eye(x.shape[1]), x[:half].T @ (y[:half] - y.mean()))
    return float(np.corrcoef(x[half:] @ weights, y[half:])[0, 1])


@pytest.mark.parametrize("name", ["mel", "moonshine"])
def test_a_row_describes_its_own_twenty_milliseconds(name: str) -> None:
    wav = _speechlike(24)
    power = np.square(wav.reshape(-1, 320)).mean(axis=1)
    loudness = np.log(power + 1e-5)
    features = build_speech_encoder(name).encode(wav)
    fits = {lag: _held_out_fit(features, loudness, lag) for lag in range(-6, 7)}
    best = max(fits, key=lambda lag: fits[lag])
    assert abs(best) <= 1, fits
    assert fits[best] > 0.8


def test_moonshine_does_not_depend_on_the_position_in_the_file() -> None:
    encoder = MoonshineEncoder()
    wav = _speechlike(12)
    whole = encoder.encode(wav)
    moved = encoder.encode(wav[5 * 16000 :])  # the same sound, five seconds earlier in its file
    np.testing.assert_allclose(moved[150:-1], whole[400:-1], atol=1e-4)


def test_moonshine_of_a_cut_out_stretch_resembles_that_of_the_whole() -> None:
    encoder = MoonshineEncoder()
    wav = _speechlike(12)
    inner = encoder.encode(wav)[250:400]
    alone = encoder.encode(wav[5 * 16000 : 8 * 16000])
    assert np.corrcoef(inner[40:110].ravel(), alone[40:110].ravel())[0, 1] > 0.9
    assert np.corrcoef(inner.ravel(), alone.ravel())[0, 1] > 0.7


def test_features_are_about_zero_mean_and_unit_spread() -> None:
    features = build_speech_encoder("moonshine+mel").encode(_speechlike(6))
    assert np.abs(features[:, :288].mean()) < 0.3
    assert 0.5 < features[:, :288].std() < 2
    assert np.abs(features[:, 288:].mean()) < 2


def test_log_mel_equals_the_plain_formula() -> None:
    import librosa

    wav = _speechlike(1)
    padded = np.pad(wav, 96)
    spectrum = librosa.stft(padded, n_fft=512, hop_length=320, window="hann", center=False)
    bands = librosa.filters.mel(sr=16000, n_fft=512, n_mels=80, fmin=80, fmax=7600)
    expected = np.log10(np.maximum(bands @ np.abs(spectrum), 1e-6)).T
    np.testing.assert_allclose(log_mel(wav), expected, atol=1e-4)


def test_level_and_length_are_made_fit() -> None:
    assert len(fit_to_frames(np.ones(1000, np.float32))) == 1280
    assert not fit_to_frames(np.ones(1000, np.float32))[1000:].any()
    assert len(fit_to_frames(np.ones(900, np.float32))) == 640


@pytest.mark.parametrize("wav", [np.zeros(0), np.zeros((10, 2)), np.array([0.0, np.nan])])
def test_sound_that_is_none_is_refused(wav: np.ndarray) -> None:
    with pytest.raises(DataError, match="speech"):
        build_speech_encoder("mel").encode(wav)


@pytest.mark.parametrize(
    ("name", "message"),
    [("moonshin", "did you mean 'moonshine'"), ("mel+mel", "different names"), ("mel+", "different names")],
)
def test_unknown_encoders_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_speech_encoder(name)
