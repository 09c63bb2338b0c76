"""Figures of landmarks without rendering, on the small person and the small corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from inference import evaluate_landmarks
from inference.config import InferConfig
from inference.landmark_evaluation import LandmarkTest, average, ridge_predictor
from inference.landmark_scores import person_mouth, pieces_of, truth_row
from inference.pipeline import TalkingHead
from tests.support.tiny_corpus import write_tiny_corpus
from utils.commons.schema import ConfigError
from utils.metrics.lipsync import lip_opening


def test_the_true_landmarks_score_perfectly_and_every_row_stands_beside_them(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav = root / "data" / "raw" / "val_wavs" / "demo.wav"
    evaluate_landmarks.main(["--video_id", "tim", "--wav", str(wav), "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "metrics.json").read_text())["rows"]
    assert list(rows) == [
        "true", "generic", "ridge", "ridge average", "postnet", "postnet, filters", "postnet, filters, demo",
    ]  # fmt: skip
    assert rows["true"]["lip_corr"] == pytest.approx(1)
    assert rows["true"]["lmd"] == pytest.approx(0, abs=1e-6)
    assert rows["true"]["jitter_ratio"] == rows["true"]["speed_ratio"] == pytest.approx(1)
    assert "lip_corr" not in rows["postnet, filters, demo"]
    ratios = [row["silence_leak"] / row["leak_ratio"] for row in rows.values() if row.get("leak_ratio")]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))  # all are held against the same person
    assert "| ridge average |" in capsys.readouterr().out


def test_the_average_lies_between_its_parts(root: Path) -> None:
    store = TalkingHead(config=InferConfig(video_id="tim")).store
    ridge = ridge_predictor(store)
    mixed = average(ridge, lambda speech, f0, n: np.zeros((n, 68, 3)), share=0.25)
    speech, f0 = np.asarray(store.speech), np.asarray(store.f0)
    np.testing.assert_allclose(mixed(speech, f0, len(store)), 0.25 * ridge(speech, f0, len(store)), rtol=1e-5)


def test_a_mouth_wider_than_the_person_ever_opens_it_is_counted(root: Path) -> None:
    test = LandmarkTest(TalkingHead(config=InferConfig(video_id="tim")), None)
    wide = test.true.copy()
    wide[test.frames[3], 66, 1] -= 8
    row = truth_row(
        wide[test.frames], test.true[test.frames], pieces=test.pieces, speaking=np.ones(len(test.frames), bool),
        mouth=person_mouth(test.store),
    )  # fmt: skip
    assert row["over_open"] == 1
    assert lip_opening(test.true).max() < test.mouth.widest


def test_a_person_who_is_still_in_pauses_has_no_leak_to_compare_with(root: Path) -> None:
    test = LandmarkTest(TalkingHead(config=InferConfig(video_id="tim")), None)
    test.own_leak = 0.0
    test.own("ridge", ridge_predictor(test.store), filters=False)
    assert np.isnan(test.rows["ridge"]["leak_ratio"])


def test_pieces_of_positions_end_at_gaps_and_cuts() -> None:
    assert pieces_of(np.array([2, 3, 4, 7, 8, 9]), [(0, 9), (9, 12)]) == [(0, 3), (3, 5), (5, 6)]


def test_the_generic_model_is_measured_on_every_speaker_and_their_mean(root: Path, tmp_path: Path) -> None:
    if not (root / "data" / "binary" / "drawn").exists():
        write_tiny_corpus(root / "data" / "binary" / "drawn", speech_dim=80, encoder="mel")
    options = ["--corpus", "drawn", "--generic", "checkpoints/lrs3/lm3d_vae", "--out", str(tmp_path)]
    evaluate_landmarks.main(options)
    rows = json.loads((tmp_path / "metrics.json").read_text())["rows"]
    assert list(rows) == ["speaker0", "speaker1", "speaker2", "mean"]
    assert rows["mean"]["lmd"] == pytest.approx(np.mean([rows[f"speaker{i}"]["lmd"] for i in range(3)]))
    with pytest.raises(ConfigError, match="no speaker 'nobody'"):
        evaluate_landmarks.main([*options, "--speakers", "nobody"])


def test_a_person_or_a_corpus_must_be_named() -> None:
    with pytest.raises(ConfigError, match="either --video_id ID or --corpus"):
        evaluate_landmarks.main([])
    with pytest.raises(ConfigError, match="name it with --generic"):
        evaluate_landmarks.main(["--corpus", "drawn"])
