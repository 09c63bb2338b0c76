"""Several corpora as one, and speakers who stay out of training."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tiny_corpus import write_tiny_corpus
from utils.commons.schema import DataError
from utils.data.clip_motion import MotionClips
from utils.data.corpora import CorpusConfig, open_corpus


@pytest.fixture
def two(tmp_path: Path) -> Path:
    write_tiny_corpus(tmp_path / "data" / "binary" / "one", speakers=2)
    write_tiny_corpus(tmp_path / "data" / "binary" / "two", speakers=3, clips_per_speaker=2)
    return tmp_path


def test_joined_corpora_hold_the_clips_of_both_in_order(two: Path) -> None:
    one, both = (open_corpus(CorpusConfig(corpus=name), "train") for name in ("one", "one+two"))
    assert len(both) == 10 + 3
    speakers, lengths = both.overview()
    assert speakers[-1] == "speaker2"
    assert lengths.tolist()[:10] == one.overview()[1].tolist()
    np.testing.assert_array_equal(both[10].lm3d, open_corpus(CorpusConfig(corpus="two"), "train")[0].lm3d)


def test_a_held_out_speaker_is_in_no_training_clip_and_alone_in_validation(two: Path) -> None:
    config = CorpusConfig(corpus="one+two", held_out_speakers=("speaker1",))
    assert "speaker1" not in open_corpus(config, "train").overview()[0]
    held = open_corpus(config, "val")
    assert set(held.overview()[0]) == {"speaker1"}
    assert len(held) == 6 + 2


def test_each_clip_is_centred_by_its_own_corpus_and_survives_a_worker(two: Path) -> None:
    clips = MotionClips(open_corpus(CorpusConfig(corpus="one+two"), "val"))
    again = pickle.loads(pickle.dumps(clips))
    for index in range(len(clips)):
        absolute = clips[index].deviation + clips.neutral(index)
        np.testing.assert_allclose(absolute.numpy().reshape(-1, 68, 3), clips.store[index].lm3d, atol=1e-5)
        np.testing.assert_array_equal(again[index].deviation, clips[index].deviation)


def test_each_corpus_is_drawn_by_its_share(two: Path) -> None:
    clips = MotionClips(open_corpus(CorpusConfig(corpus="one+two", corpus_shares=(0.8, 0.2)), "train"))
    weights = clips.weights(0.5)
    assert float(weights[:10].sum() / weights.sum()) == pytest.approx(0.8)
    plain = MotionClips(open_corpus(CorpusConfig(corpus="one+two"), "train")).weights(0.5)
    torch.testing.assert_close(weights[:10] / weights[0], plain[:10] / plain[0])
    with pytest.raises(DataError, match="corpus_shares has 1 numbers"):
        open_corpus(CorpusConfig(corpus="one+two", corpus_shares=(1.0,)), "train")


def test_unknown_speakers_and_different_features_are_refused(two: Path) -> None:
    with pytest.raises(DataError, match="has no nobody; it has speaker0"):
        open_corpus(CorpusConfig(corpus="one", held_out_speakers=("nobody",)), "train")
    write_tiny_corpus(two / "data" / "binary" / "mel", encoder="mel", speech_dim=80)
    with pytest.raises(DataError, match="different speech features"):
        open_corpus(CorpusConfig(corpus="one+mel"), "train")
