"""A real clip through every stage, upstream folders deleted on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_gen.videos.config import ProcessConfig
from data_gen.videos.pipeline import process_video, video_stages
from tests.support.clips import ffmpeg
from tests.support.real_data import real_clip
from utils.data.paths import binary_video, processed_video, raw_video
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics, project


def test_stages_read_only_what_comes_before_them() -> None:
    known: set[str] = set()
    for stage in video_stages():
        assert set(stage.inputs) <= known
        assert set(stage.keys) <= set(ProcessConfig.model_fields)
        known.add(stage.name)


def test_every_choice_reaches_a_stage() -> None:
    used = {key for stage in video_stages() for key in stage.keys}
    assert set(ProcessConfig.model_fields) - used == {"num_workers"}  # changes the speed alone


@pytest.mark.slow  # 20 s: every stage on 6.4 s of a real clip
def test_a_real_clip_becomes_a_person_and_survives_the_loss_of_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path))
    raw = raw_video("x")
    raw.parent.mkdir(parents=True)
    ffmpeg("-i", real_clip("video/obama_oval_20s_sync.mp4"), "-t", "6.4", "-r", "30", "-preset", "ultrafast", raw)
    config = ProcessConfig(video_id="x", image_size=128)
    everything = [stage.name for stage in video_stages()]
    assert process_video(config) == everything
    store = PersonStore(binary_video("x"))
    assert 159 <= len(store) <= 161
    assert store.speech.shape == (2 * len(store), 368)
    assert (store.background.shape, store.gt(5).shape) == ((128, 128, 3), (128, 128, 3))
    camera = store.manifest
    intrinsics = Intrinsics(camera.focal, camera.cx, camera.cy, camera.height, camera.width)
    errors = [np.abs(project(store.lm3d[t] / 100, store.c2w[t], intrinsics) - store.lm2d[t]).mean() for t in range(159)]
    assert np.mean(errors) < 1.0  # pixels of 128
    timings = json.loads((processed_video("x") / "timings.json").read_text())
    assert set(timings) == set(everything)

    raw.unlink()
    assert process_video(config) == []
    other = config.model_copy(update={"speech_encoder": "mel"})
    assert process_video(other) == ["audio_features", "binarize"]
    assert PersonStore(binary_video("x")).manifest.speech_dim == 80
    shutil.rmtree(processed_video("x"))
    assert PersonStore(binary_video("x")).torso(3).shape == (128, 128, 4)
