"""From a sound to landmarks and to a video, with real small models."""

from pathlib import Path

import numpy as np
import pytest

from inference.audio_to_landmarks import load_landmarks, save_landmarks
from inference.config import InferConfig
from inference.pipeline import TalkingHead
from tests.inference.conftest import DEMO_FRAMES, FlatRenderer
from utils.commons.schema import DataError
from utils.data.paths import experiment, raw_wav
from utils.media.audio import load_wav, save_wav
from utils.media.video import probe, read_frames

CONFIG = InferConfig(video_id="tim", device="cpu")


@pytest.fixture
def head(root: Path) -> TalkingHead:
    return TalkingHead(config=CONFIG)


def test_landmarks_have_exactly_the_frames_of_the_sound(head: TalkingHead) -> None:
    for samples in (640, 641, 1000, 16000, 20111):
        wav = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1
        assert head.landmarks(wav).shape == (max(1, round(samples / 640)), 68, 3)


def test_landmarks_depend_on_the_sound_and_on_the_seed_alone(head: TalkingHead) -> None:
    wav = load_wav(raw_wav("demo"))
    first = head.landmarks(wav)
    np.testing.assert_array_equal(first, head.landmarks(wav))
    assert np.abs(first - head.landmarks(wav[::-1].copy())).max() > 1e-4
    other = TalkingHead(config=CONFIG.model_copy(update={"seed": 1}))
    assert np.abs(first - other.landmarks(wav)).max() > 1e-4
    still = TalkingHead(config=CONFIG.model_copy(update={"seed": 1, "infer_temperature": 0.0}))
    again = TalkingHead(config=CONFIG.model_copy(update={"infer_temperature": 0.0}))
    np.testing.assert_array_equal(still.landmarks(wav), again.landmarks(wav))


def test_without_the_postnet_the_generic_motion_is_shown(head: TalkingHead) -> None:
    wav = load_wav(raw_wav("demo"))
    generic = TalkingHead(config=CONFIG.model_copy(update={"infer_use_postnet": False}))
    assert np.abs(head.landmarks(wav) - generic.landmarks(wav)).max() > 1e-4


def test_saved_landmarks_keep_the_published_layout(head: TalkingHead, tmp_path: Path) -> None:
    deviations = head.landmarks(raw_wav("demo"))
    save_landmarks(tmp_path / "x.npy", deviations)
    array = np.load(tmp_path / "x.npy", allow_pickle=False)
    assert (array.shape, array.dtype) == ((1, DEMO_FRAMES, 204), np.float32)
    np.testing.assert_array_equal(load_landmarks(tmp_path / "x.npy"), deviations)


def test_damaged_landmarks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="is no npy file"):
        load_landmarks(tmp_path / "x.npy")
    np.save(tmp_path / "y.npy", np.zeros((3, 68)))
    with pytest.raises(DataError, match=r"must hold landmarks \[1,T,204\], got \[3, 68\]"):
        load_landmarks(tmp_path / "y.npy")


def test_the_video_is_as_long_as_the_speech_and_nothing_lies_beside_the_input(
    head: TalkingHead, tmp_path: Path
) -> None:
    source = tmp_path / "in" / "my speech.wav"
    wav = load_wav(raw_wav("demo"))
    save_wav(source, wav)
    out = head.generate(source, tmp_path / "out" / "video.mp4")
    info = probe(out)
    assert (info.num_frames, info.fps, info.width) == (DEMO_FRAMES, 25, head.store.manifest.width)
    sound = load_wav(out)
    assert len(sound) == pytest.approx(len(wav), abs=640)  # AAC ends on a packet
    assert [path.name for path in source.parent.iterdir()] == ["my speech.wav"]
    assert [path.name for path in out.parent.iterdir()] == ["video.mp4"]


def test_speech_longer_than_the_clip_goes_on(
    head: TalkingHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "renderer", FlatRenderer())
    frames = len(head.store) + 20
    deviations = np.zeros((frames, 68, 3), np.float32)
    out = head.render(deviations, np.zeros(frames * 640, np.float32), tmp_path / "long.mp4")
    assert probe(out).num_frames == frames


def test_the_video_shows_the_frames_of_the_renderer(head: TalkingHead, tmp_path: Path) -> None:
    wav = load_wav(raw_wav("demo"))[: 6 * 640]
    deviations = head.landmarks(wav)
    sharp = TalkingHead(config=CONFIG.model_copy(update={"infer_crf": 1}))
    path = sharp.path(6)
    conditions = sharp.renderer.conditions(sharp.filtered(deviations, wav, path))
    shown = list(read_frames(sharp.render(deviations, wav, tmp_path / "v.mp4")))
    for t in (0, 5):
        error = shown[t].astype(int) - sharp.renderer.render(conditions, t, path.c2w[t])
        assert np.abs(error).mean() < 4  # chroma is halved in yuv420p


def test_only_so_many_frames_when_asked(root: Path, tmp_path: Path) -> None:
    head = TalkingHead(config=CONFIG.model_copy(update={"infer_max_frames": 5}))
    assert probe(head.generate(raw_wav("demo"), tmp_path / "v.mp4")).num_frames == 5


def test_another_size_and_no_torso(root: Path, tmp_path: Path) -> None:
    changes = {"infer_image_size": 48, "torso_work_dir": "none", "infer_max_frames": 3}
    out = TalkingHead(config=CONFIG.model_copy(update=changes)).generate(raw_wav("demo"), tmp_path / "v.mp4")
    assert (probe(out).width, probe(out).height) == (48, 48)


def test_landmarks_of_another_sound_are_refused(head: TalkingHead, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="40 frames, the sound 10"):
        head.render(np.zeros((40, 68, 3), np.float32), np.zeros(6400, np.float32), tmp_path / "v.mp4")
    assert not (tmp_path / "v.mp4").exists()


def test_an_empty_sound_is_refused(head: TalkingHead) -> None:
    with pytest.raises(DataError, match="0 s long"):
        head.landmarks(np.zeros(0, np.float32))


def test_a_missing_experiment_names_its_training(root: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"postnet_work_dir": "checkpoints/ann/postnet"})
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in checkpoints/ann/postnet.*train_postnet.sh ann"):
        TalkingHead(config=config).generate(raw_wav("demo"), tmp_path / "v.mp4")


def test_models_of_another_speech_encoder_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = TalkingHead(config=CONFIG)
    other = head.store.manifest.model_copy(update={"speech_encoder": "moonshine", "speech_dim": 288})
    monkeypatch.setattr(head.store, "manifest", other)
    with pytest.raises(DataError, match=r"lm3d_vae.* needs speech features 'mel' of width 80"):
        head.landmarks(np.zeros(6400, np.float32))
    assert experiment("tim/postnet").is_dir()
