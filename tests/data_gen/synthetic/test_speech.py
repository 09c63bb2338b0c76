"""Speech, visemes and motion of the demo subject."""

from __future__ import annotations

import time

import numpy as np
import pytest

from data_gen.synthetic.motion import face_actions, smooth_noise
from data_gen.synthetic.sentences import ENGLISH, draw_sentences
from data_gen.synthetic.subject import speak
from data_gen.synthetic.visemes import CHANNELS, mouth_channels, visemes_of
from modules.audio.synthetic_speech import SAMPLE_RATE_HZ, Phone, VoiceError, check_voice, synthesize
from modules.face.morphable.head_asset import load_head


def test_a_voice_says_the_same_samples_whatever_was_said_before() -> None:
    first = synthesize(["Papa sees some bees."], "en-us+f2")[0]
    time.sleep(1.1)  # the engine would seed its noise by the clock, in whole seconds
    synthesize(["Guten Tag."], "de")
    second = synthesize(["Papa sees some bees."], "en-us+f2")[0]
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.phones == second.phones


def test_phones_follow_each_other_without_gaps_to_the_end() -> None:
    utterance = synthesize(["Papa sees some bees."])[0]
    for before, after in zip(utterance.phones[:-1], utterance.phones[1:], strict=True):
        assert before.end_s == pytest.approx(after.start_s)
    assert utterance.phones[-1].end_s == pytest.approx(len(utterance.samples) / SAMPLE_RATE_HZ, abs=0.002)


def test_phone_times_fit_the_sound() -> None:
    """A hiss crosses zero often, a vowel is loud, and the closure of a p is silent."""
    utterance = synthesize(["Asa apa asa apa."])[0]

    def part(phone: Phone, end_s: float) -> np.ndarray:
        return utterance.samples[int(phone.start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]

    def crossings(x: np.ndarray) -> float:
        return float((np.diff(np.sign(x)) != 0).mean())

    hiss = [crossings(part(p, p.end_s)) for p in utterance.phones if p.phone == "s"]
    vowels = [p for p in utterance.phones if visemes_of(p.phone)[0] in ("a", "ae", "schwa")]
    loud = np.mean([np.abs(part(p, p.end_s)).mean() for p in vowels])
    closures = [
        np.abs(part(p, p.release_s)).mean() for p in utterance.phones if p.phone == "p" and p.release_s < p.end_s
    ]
    assert len(hiss) == 2
    assert min(hiss) > 0.25 > 0.2 > max(crossings(part(p, p.end_s)) for p in vowels)
    assert len(closures) == 2
    assert max(closures) < 0.15 * loud


@pytest.mark.parametrize("voice", ["en-gb+m3", "de+f2", "es", "fr", "it"])
def test_languages_sound_different(voice: str) -> None:
    assert [p.phone for p in synthesize(["Papa mama."], voice)[0].phones].count("p") == 2


def test_an_unknown_voice_is_refused_with_those_there_are() -> None:
    with pytest.raises(VoiceError, match=r"unknown voice 'klingon'.*en-us.*\+f1"):
        check_voice("klingon")
    with pytest.raises(VoiceError, match="unknown voice 'de\\+robot'"):
        check_voice("de+robot")


def test_speech_fills_any_length_exactly() -> None:
    for seconds in (0.4, 7.0, 21.0):
        utterance, text = speak(seconds, "en-us", seed=1)
        assert len(utterance.samples) == round(seconds * SAMPLE_RATE_HZ)
        assert text
        assert all(p.end_s <= seconds for p in utterance.phones)


def test_sentences_are_many_and_none_returns_before_all_were_read() -> None:
    assert len(set(ENGLISH)) >= 60
    drawn = draw_sentences(np.random.default_rng(0), "en-us", len(ENGLISH))
    assert sorted(drawn) == sorted(ENGLISH)


def test_every_phone_has_a_mouth_shape() -> None:
    assert visemes_of("p") == visemes_of("m") == ["closed"]
    assert visemes_of("ˈaɪ") == ["a", "i"]
    assert visemes_of("f") == ["labiodental"]
    assert visemes_of("uː") == ["u"]
    assert visemes_of("") == ["rest"]


def test_a_short_closure_between_open_vowels_still_closes_the_lips() -> None:
    phones = [Phone("a", 0.0, 0.3, 0.3), Phone("b", 0.3, 0.35, 0.35), Phone("a", 0.35, 0.7, 0.7)]
    mouth = mouth_channels(phones, 18, 25)
    gap = mouth[:, CHANNELS.index("open")] - mouth[:, CHANNELS.index("close")]
    assert gap[int(0.325 * 25)] < 0
    assert gap[4] > 0.25
    assert gap[14] > 0.25


def test_rounded_vowels_push_the_lips_forward_and_spread_ones_pull_them_wide() -> None:
    rounded = mouth_channels([Phone("u", 0.0, 0.4, 0.4)], 10, 25)[5]
    spread = mouth_channels([Phone("i", 0.0, 0.4, 0.4)], 10, 25)[5]
    assert rounded[CHANNELS.index("pucker")] > 0.5 > spread[CHANNELS.index("pucker")]
    assert spread[CHANNELS.index("stretch")] > 0.25 > rounded[CHANNELS.index("stretch")]


def test_eyes_blink_every_few_seconds_for_five_to_seven_frames() -> None:
    names = load_head().actions.names
    lids = face_actions(np.random.default_rng(4), 1500, 25, names, np.zeros(1500))[:, names.index("eyeBlinkLeft")]
    starts = np.flatnonzero((lids[1:] > 0) & (lids[:-1] == 0))
    assert 12 <= len(starts) <= 30
    assert (np.diff(starts) >= 48).all()
    assert (np.diff(starts) <= 127).all()
    assert 5 <= (lids > 0).sum() / len(starts) <= 7


def test_noise_is_smooth_bounded_and_goes_on() -> None:
    short, long = (smooth_noise(np.random.default_rng(1), n, 25, (0.1, 0.5)) for n in (50, 500))
    np.testing.assert_allclose(short, long[:50], atol=1e-12)
    assert np.abs(long).max() <= 1
    assert np.abs(np.diff(long)).max() < 0.25
