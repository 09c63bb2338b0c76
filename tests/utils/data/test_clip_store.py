"""A corpus comes back clip by clip, with the neutral shape of each speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from utils.commons.schema import DataError
from utils.data.clip_store import Clip, ClipStore, write_corpus


def _clip(name: str, speaker: str, frames: int, value: float) -> Clip:
    return Clip(name, speaker, np.full((frames, 68, 3), value, np.float32), np.ones((2 * frames, 4)), np.zeros(2 * frames))


def test_clips_come_back_with_their_arrays(tmp_path: Path) -> None:
    clips = [("train", _clip("s1_a", "s1", 5, 1.0)), ("train", _clip("s1_b", "s1", 3, 3.0)), ("val", _clip("s2_a", "s2", 4, 2.0))]
    write_corpus(tmp_path / "c", clips, name="c", encoder="mel", landmarker="mediapipe")
    train, val = ClipStore(tmp_path / "c", "train"), ClipStore(tmp_path / "c", "val")
    assert [train[i].item_id for i in range(len(train))] == ["s1_a", "s1_b"]
    assert train[1].lm3d.shape == (3, 68, 3)
    assert train[1].speech.shape == (6, 4)
    assert val.manifest.num_clips == {"train": 2, "val": 1}


def test_the_speaker_mean_weighs_frames_equally(tmp_path: Path) -> None:
    clips = [("train", _clip("s1_a", "s1", 5, 1.0)), ("val", _clip("s1_b", "s1", 3, 3.0))]
    write_corpus(tmp_path / "c", clips, name="c", encoder="mel", landmarker="mediapipe")
    np.testing.assert_allclose(ClipStore(tmp_path / "c", "val").speaker_mean("s1"), (5 * 1.0 + 3 * 3.0) / 8)


@pytest.mark.parametrize(
    ("clips", "match"),
    [
        ([], "no usable clip"),
        ([("train", Clip("a", "s", np.zeros((5, 68, 3)), np.zeros((9, 4)), np.zeros(10)))], "clip a: .*speech"),
    ],
)
def test_bad_clips_are_refused_and_leave_no_folder(tmp_path: Path, clips: list[tuple[str, Clip]], match: str) -> None:
    with pytest.raises(DataError, match=match):
        write_corpus(tmp_path / "c", clips, name="c", encoder="mel", landmarker="mediapipe")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_corpus_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="process_corpus.sh nothing"):
        ClipStore(tmp_path / "nothing", "train")
