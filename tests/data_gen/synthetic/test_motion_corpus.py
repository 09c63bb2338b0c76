"""Lip motion of synthetic speakers without pictures."""

from __future__ import annotations

import numpy as np
import pytest

from data_gen.synthetic.motion_corpus import (
    KEPT_FOR_TESTS,
    MotionCorpusSpec,
    performed,
    speaker_clips,
    write_motion_corpus,
)
from data_gen.synthetic.subject import SubjectSpec, generate_subject
from inference.articulation_trial import VOICES as TEST_VOICES
from utils.commons.schema import ConfigError
from utils.data.clip_store import ClipStore
from utils.data.paths import binary_corpus
from utils.metrics.lipsync import lip_opening


def test_landmarks_are_those_of_the_drawn_head() -> None:
    spec = MotionCorpusSpec("x", seconds_per_clip=0.4)
    wav, lm3d = performed(spec, 0, "en-us+f2", 1.0, 0)
    drawn = generate_subject(SubjectSpec(seconds=0.4, size=64, identity=0, voice="en-us+f2", seed=0))
    np.testing.assert_allclose(lm3d, 100 * drawn.lm3d, atol=1e-3)
    np.testing.assert_array_equal(wav, drawn.samples)


def test_a_corpus_is_written_that_training_can_open_and_says_the_same_again() -> None:
    spec = MotionCorpusSpec("motion", speakers=2, clips_per_speaker=2, seconds_per_clip=1.2, speech_encoder="mel")
    write_motion_corpus(spec)
    stores = [ClipStore(binary_corpus("motion"), split) for split in ("train", "val")]
    clips = [store[index] for store in stores for index in range(len(store))]
    assert {clip.speaker for clip in clips} == {"motion_000", "motion_001"}
    assert all(len(clip.speech) == len(clip.f0) == 2 * len(clip.lm3d) for clip in clips)
    assert all(lip_opening(clip.lm3d).std() > 0.005 for clip in clips)
    again = {clip.item_id: clip for clip in speaker_clips(spec, 1)}
    for clip in clips:
        if clip.item_id in again:
            np.testing.assert_array_equal(clip.speech, again[clip.item_id].speech)


def test_most_voices_of_the_articulation_test_are_kept_out() -> None:
    assert {voice.partition("+")[2] for voice in TEST_VOICES} & KEPT_FOR_TESTS == KEPT_FOR_TESTS


def test_no_speaker_is_refused() -> None:
    with pytest.raises(ConfigError, match="speakers must be 1 or more, got 0"):
        MotionCorpusSpec("x", speakers=0)
