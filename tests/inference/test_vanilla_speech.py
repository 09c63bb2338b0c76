"""Where a vanilla renderer's speech features come from, and what is said when there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.vanilla_speech import find_deepspeech, load_deepspeech, speech_windows
from modules.nerf.conditions import stored_speech_condition
from modules.nerf.fields.vanilla import VanillaHead, VanillaHeadConfig, VanillaTorso, VanillaTorsoConfig
from modules.nerf.renderers.vanilla_renderer import VanillaRenderer
from tests.support.tiny_person import write_tiny_person
from utils.commons.runtime import Runtime
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore

SIZES = {"vanilla_hidden_size": 4, "near": 0.3, "far": 0.9}
SPEECH: dict[str, Any] = {"cond_type": "speech", "cond_in_dim": 29, "cond_win_size": 16, "smo_win_size": 8}


@pytest.fixture
def store(tmp_path: Path) -> PersonStore:
    write_tiny_person(tmp_path / "ann", num_frames=12, size=8)
    rows = np.random.default_rng(0).normal(size=(24, 29)).astype(np.float32)
    np.save(tmp_path / "ann" / "deepspeech.npy", rows)
    return PersonStore(tmp_path / "ann")


def renderer_of(store: PersonStore, **head: Any) -> VanillaRenderer:
    torso = VanillaTorso(VanillaTorsoConfig(torso_cond_in_dim=29, torso_cond_speech="deepspeech", **SIZES))
    runtime = Runtime(torch.device("cpu"))
    return VanillaRenderer(VanillaHead(VanillaHeadConfig(**SIZES, **head)), torso, store, runtime=runtime)


def nothing() -> np.ndarray:
    raise AssertionError("no other features are needed")


def test_without_a_file_the_torso_hears_the_frames_whose_pose_is_shown(
    store: PersonStore, caplog: pytest.LogCaptureFixture
) -> None:
    frames = np.array([3, 4, 5, 4, 3])
    windows = speech_windows(renderer_of(store), store, nothing, deepspeech=None, frames=frames)
    assert "the torso moves as in the frames of the clip" in caplog.text
    found = windows("deepspeech", 16, 8)
    expected = stored_speech_condition(store, 5, "deepspeech", window=16, smoothing=8)
    assert found.shape == (5, 8, 16, 29)
    assert torch.equal(found[2], expected)


def test_lips_that_follow_deepspeech_need_the_file(store: PersonStore) -> None:
    renderer = renderer_of(store, **SPEECH, cond_speech="deepspeech")
    with pytest.raises(DataError, match=r"put them beside it as <name>_16k_deepspeech.npy"):
        speech_windows(renderer, store, nothing, deepspeech=None, frames=np.arange(3))


def test_windows_and_rows_of_a_file_are_the_same(store: PersonStore, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(20, 29)).astype(np.float32)
    padded = np.pad(rows, ((8, 8), (0, 0)))
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "windows.npy", np.stack([padded[2 * t : 2 * t + 16] for t in range(10)]))
    found = [load_deepspeech(tmp_path / f"{name}.npy", 10) for name in ("rows", "windows")]
    np.testing.assert_array_equal(*found)
    windows = speech_windows(
        renderer_of(store), store, nothing, deepspeech=tmp_path / "rows.npy", frames=np.zeros(12, int)
    )("deepspeech", 16, 8)
    assert len(windows) == 12  # two frames more than the file: its last row goes on
    np.testing.assert_array_equal(windows[5][4].numpy(), rows[2:18])


def test_own_features_are_encoded_on_demand(store: PersonStore) -> None:
    renderer = renderer_of(store)
    ones = np.ones((6, 5), np.float32)
    windows = speech_windows(renderer, store, lambda: ones, deepspeech=None, frames=np.arange(3))("speech", 4, 3)
    assert (len(windows), windows[2].shape) == (3, (3, 4, 5))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((5, 29)), "features of 2 frames, the sound has 10"),
        (np.full((20, 29), np.nan), r"must hold finite DeepSpeech windows \[T,16,29\]"),
        (np.zeros((10, 15, 29)), r"must hold finite DeepSpeech windows \[T,16,29\], got \[10, 15, 29\]"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, array: np.ndarray, match: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=match):
        load_deepspeech(tmp_path / "x.npy", 10)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="is no npy file of numbers"):
        load_deepspeech(tmp_path / "x.npy", 1)


def test_the_file_beside_the_sound_is_found(tmp_path: Path) -> None:
    sound = tmp_path / "zozo.wav"
    assert find_deepspeech(sound, "") is None
    assert find_deepspeech(None, "") is None
    np.save(tmp_path / "zozo_deepspeech.npy", np.zeros(1))
    assert find_deepspeech(sound, "") == tmp_path / "zozo_deepspeech.npy"
    np.save(tmp_path / "zozo_16k_deepspeech.npy", np.zeros(1))
    assert find_deepspeech(sound, "") == tmp_path / "zozo_16k_deepspeech.npy"
    assert find_deepspeech(sound, str(tmp_path / "zozo_deepspeech.npy")) == tmp_path / "zozo_deepspeech.npy"
    with pytest.raises(FileNotFoundError, match="infer_deepspeech names an npy file"):
        find_deepspeech(sound, "none.npy")
