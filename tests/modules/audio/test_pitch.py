from __future__ import annotations

import numpy as np
import pytest

from modules.audio import coarse_pitch, extract_f0
from tests.support.clips import tone


@pytest.mark.parametrize("hertz", [85.0, 120.0, 220.0, 333.3, 440.0, 700.0])
def test_a_steady_voice_has_its_own_pitch(hertz: float) -> None:
    f0 = extract_f0(tone(1.0, hertz))
    np.testing.assert_allclose(f0[3:-3], hertz, rtol=2e-3)


def test_a_missing_fundamental_is_heard() -> None:
    t = np.arange(16000) / 16000
    wave = sum(np.sin(2 * np.pi * 150 * k * t) for k in range(2, 8)).astype(np.float32) * 0.05
    np.testing.assert_allclose(extract_f0(wave)[3:-3], 150, rtol=5e-3)


def test_a_glide_is_followed_without_octave_jumps() -> None:
    t = np.arange(32000) / 16000
    hertz = 100 * 3 ** (t / 2)
    phase = 2 * np.pi * np.cumsum(hertz) / 16000
    wave = sum(np.sin(k * phase) / k for k in range(1, 6)).astype(np.float32) * 0.2
    f0 = extract_f0(wave)
    expected = 100 * 3 ** ((np.arange(100) + 0.5) / 50 / 2)
    np.testing.assert_allclose(f0[3:-3], expected[3:-3], rtol=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    rng = np.random.default_rng(0)
    assert (extract_f0(rng.normal(0, 0.1, 32000).astype(np.float32)) > 0).mean() < 0.05
    assert not extract_f0(np.zeros(8000, np.float32)).any()
    assert not extract_f0(np.full(8000, 0.5, np.float32)).any()


def test_pauses_between_voiced_parts_are_found() -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 8000).astype(np.float32)
    f0 = extract_f0(np.concatenate([tone(0.5, 150), quiet, tone(0.5, 250)]))
    assert not f0[28:47].any()
    assert (f0[3:22] > 0).all()
    np.testing.assert_allclose(f0[53:72], 250, rtol=5e-3)


def test_long_sound_is_worked_on_in_blocks_without_a_seam() -> None:
    f0 = extract_f0(tone(45.0, 130.0))  # more rows than one block holds
    np.testing.assert_allclose(f0[3:-3], 130, rtol=2e-3)


def test_coarse_pitch_gives_the_reference_numbers() -> None:
    f0 = np.array([0, 49, 50, 80, 100, 200, 440, 750, 1100, 1500])
    np.testing.assert_array_equal(coarse_pitch(f0), [1, 1, 1, 12, 20, 54, 122, 192, 255, 255])
