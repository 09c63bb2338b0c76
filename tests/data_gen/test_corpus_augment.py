"""Training clips again with other sound."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from data_gen.corpus.augment import augment_corpus
from modules.audio import build_speech_encoder
from tests.support.clips import tone
from utils.commons.schema import ConfigError, DataError
from utils.data.clip_store import Clip, ClipStore, write_corpus
from utils.data.paths import binary_corpus, processed_corpus
from utils.media.audio import save_wav


def _write(frames: int = 30) -> None:
    folder = processed_corpus("toy")
    folder.mkdir(parents=True)
    rows = []
    clips = []
    for number, split in enumerate(("train", "train", "val")):
        wav = tone(frames / 25, hertz=200 + 50 * number)
        save_wav(folder / f"{number}.wav", wav)
        rows.append({"item_id": f"s_{number}", "file": str(folder / f"{number}.wav"), "used": True, "reason": ""})
        speech = build_speech_encoder("mel").encode(wav).astype(np.float16)
        lm3d = np.tile(np.arange(frames, dtype=np.float32)[:, None, None], (1, 68, 3))
        clips.append((split, Clip(f"s_{number}", "s", lm3d, speech, np.zeros(2 * frames, np.float32))))
    with (folder / "report.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_corpus(binary_corpus("toy"), clips, name="toy", encoder="mel", landmarker="drawn")


def test_every_training_clip_comes_back_altered_with_motion_at_the_sound_s_speed() -> None:
    _write()
    store = ClipStore(augment_corpus("toy", 3), "train")
    assert [store[i].item_id for i in range(len(store))] == [f"s_{n}_a{c}" for n in range(2) for c in range(3)]
    lengths = {len(store[i].lm3d) for i in range(len(store))}
    assert len(lengths) > 1
    for index in range(len(store)):
        clip = store[index]
        assert len(clip.speech) == 2 * len(clip.lm3d)
        step = np.diff(clip.lm3d[2:-2, 0, 0])
        assert step.mean() == pytest.approx(30 / len(clip.lm3d), rel=0.06)


def test_what_cannot_be_altered_says_so() -> None:
    _write()
    with pytest.raises(ConfigError, match="1 or more, got 0"):
        augment_corpus("toy", 0)
    (processed_corpus("toy") / "report.csv").unlink()
    with pytest.raises(DataError, match="names the sound files"):
        augment_corpus("toy", 1)
