from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from data_gen.corpus import clips as clips_module
from data_gen.corpus.clips import find_clips
from data_gen.corpus.config import CorpusConfig
from data_gen.corpus.process import process_corpus, split_clips
from tests.support.clips import tone, write_clip
from tests.support.real_data import real_clip
from utils.commons.schema import DataError
from utils.data.clip_store import ClipStore
from utils.data.paths import binary_corpus, processed_corpus

CONFIG = CorpusConfig(speech_encoder="mel", num_workers=1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path / "root"))
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace face tracking: a clip called ``bad*`` cannot be used; the list tells which clips were worked on."""
    seen: list[str] = []

    def arrays(path: Path, config: CorpusConfig) -> dict[str, np.ndarray]:
        seen.append(path.stem)
        if path.stem.startswith("bad"):
            raise DataError(f"a face in 3% of the frames of {path.stem}")
        frames = 20 + len(seen) % 3
        lm3d = np.full((frames, 68, 3), float(len(path.parent.name)), np.float32)
        return {"lm3d": lm3d, "speech": np.ones((2 * frames, 4), np.float16), "f0": np.zeros(2 * frames, np.float32)}

    monkeypatch.setattr(clips_module, "clip_arrays", arrays)
    return seen


def _folder(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root / "clips"


NAMES = ["anna/a1.mp4", "anna/a2.mpg", "anna/bad1.mp4", "bert/b1.avi", "bert/b2.mov", "bert/notes.txt"]


def test_a_corpus_is_made_and_bad_clips_are_reported(root: Path, calls: list[str]) -> None:
    process_corpus("toy", _folder(root, NAMES), CONFIG)
    train, val = (ClipStore(binary_corpus("toy"), split) for split in ("train", "val"))
    ids = {store[i].item_id for store in (train, val) for i in range(len(store))}
    assert ids == {"anna_a1", "anna_a2", "bert_b1", "bert_b2"}
    assert len(val) >= 1
    assert (train.manifest.speech_encoder, train.manifest.speech_dim) == ("mel", 4)
    report = json.loads((processed_corpus("toy") / "report.json").read_text())
    assert (report["num_clips"], report["num_bad"]) == (5, 1)
    rows = list(csv.DictReader((processed_corpus("toy") / "report.csv").open()))
    assert [row["reason"] for row in rows if row["used"] == "False"] == ["a face in 3% of the frames of bad1"]


def test_a_second_run_works_on_new_and_changed_clips_only(root: Path, calls: list[str]) -> None:
    folder = _folder(root, NAMES)
    process_corpus("toy", folder, CONFIG)
    assert len(calls) == 5
    made = (binary_corpus("toy") / "manifest.json").stat().st_mtime_ns
    process_corpus("toy", folder, CONFIG)
    assert len(calls) == 5
    assert (binary_corpus("toy") / "manifest.json").stat().st_mtime_ns == made
    (folder / "anna/a1.mp4").write_bytes(b"another take")
    (folder / "bert/b3.mp4").write_bytes(b"new")
    process_corpus("toy", folder, CONFIG)
    assert sorted(calls[5:]) == ["a1", "b3"]
    assert sum(json.loads((binary_corpus("toy") / "manifest.json").read_text())["num_clips"].values()) == 5
    process_corpus("toy", folder, CONFIG.model_copy(update={"focal_factor": 3.0}))
    assert len(calls) == 13


def test_a_deleted_clip_leaves_the_corpus(root: Path, calls: list[str]) -> None:
    folder = _folder(root, NAMES)
    process_corpus("toy", folder, CONFIG)
    (folder / "bert/b2.mov").unlink()
    process_corpus("toy", folder, CONFIG)
    assert sum(json.loads((binary_corpus("toy") / "manifest.json").read_text())["num_clips"].values()) == 3


def test_a_corpus_without_a_usable_clip_is_refused(root: Path, calls: list[str]) -> None:
    with pytest.raises(DataError, match=r"none of the 2 clips .* can be used \(a face in 3%.*report\.csv"):
        process_corpus("toy", _folder(root, ["anna/bad1.mp4", "anna/bad2.mp4"]), CONFIG)
    assert not binary_corpus("toy").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["readme.txt"], "holds no video; expected one folder a speaker"),
        (["a.mp4", "b.mp4"], "holds 2 videos directly in it; expected one folder a speaker"),
        (["anna/a.mp4", "anna/a.avi"], r"two videos are called .*anna/a\.\*"),
    ],
)
def test_folders_of_another_layout_are_refused(root: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_clips(_folder(root, names), root)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere; name a folder that holds <speaker>/<clip>"):
        find_clips(root / "nowhere", root)


def test_the_split_depends_on_names_only() -> None:
    names = [f"s{i % 7}_{i}" for i in range(500)]
    splits = split_clips(names, 10)
    assert splits == split_clips(names[::-1], 10)
    assert {name: splits[name] for name in names[:300]} == split_clips(names[:300], 10)
    assert 30 <= sum(split == "val" for split in splits.values()) <= 70


@pytest.mark.parametrize("number", [2, 3, 5])
def test_even_a_few_clips_both_train_and_validate(number: int) -> None:
    for offset in range(20):
        splits = split_clips([f"s_{offset}_{i}" for i in range(number)], 10)
        assert set(splits.values()) == {"train", "val"}
    assert split_clips(["one"], 10) == {"one": "train"}


@pytest.mark.parametrize(
    ("frames", "audio", "message"),
    [
        (40, None, "no audio track"),
        (40, np.zeros(25600, np.float32), "the sound track is silent"),
        (40, tone(1.6), "no face was found"),
    ],
)
def test_a_clip_that_cannot_be_used_says_why(
    tmp_path: Path, frames: int, audio: np.ndarray | None, message: str
) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=frames, size=(160, 120), audio=audio)
    with pytest.raises(DataError, match=message):
        clips_module.clip_arrays(path, CONFIG)


@pytest.mark.slow  # 12 s: two worker processes import their libraries
def test_real_clips_are_processed_in_parallel(root: Path) -> None:
    source = real_clip("corpus/grid_s02/pwij3p.mpg").parent
    folder = root / "clips"
    (folder / "s02").mkdir(parents=True)
    for path in sorted(source.iterdir()):
        (folder / "s02" / path.name).write_bytes(path.read_bytes())
    (folder / "s02" / "broken.mp4").write_bytes(b"\x00" * 1000)
    process_corpus("real", folder, CorpusConfig(num_workers=2))
    store = ClipStore(binary_corpus("real"), "train")
    clip = store[0]
    assert 70 <= len(clip.lm3d) <= 76
    assert clip.speech.shape == (2 * len(clip.lm3d), 368)
    eyes = np.linalg.norm(clip.lm3d[:, 36] - clip.lm3d[:, 45], axis=-1)
    assert 7 < eyes.mean() < 12  # centimetres between the outer corners
    motion = (clip.lm3d - store.speaker_mean("s02"))[:, 48:68].std()
    assert 0.02 < motion < 1.0
    report = json.loads((processed_corpus("real") / "report.json").read_text())
    assert [row["item_id"] for row in report["bad"]] == ["s02_broken"]
