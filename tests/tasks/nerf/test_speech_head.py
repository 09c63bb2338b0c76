"""The fast head told speech instead of landmarks (the condition of AD-NeRF): learnt and drawn by the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.vanilla_speech import clip_windows
from modules.nerf.model import HeadModel
from modules.nerf.renderers.frame_renderer import FrameRenderer
from tasks.base_task import Task
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig
from tasks.nerf.task import NerfHeadTask, NerfTorsoTask
from tasks.run import prepare
from tasks.trainer import train
from tests.support.tiny_person import write_tiny_person
from utils.commons import checkpoint
from utils.commons.schema import DataError
from utils.data import paths
from utils.data.person_store import PersonStore

COMMON: dict[str, Any] = {
    **{"video_id": "tiny", "amp": "off", "num_sanity_val_steps": 0, "eval_max_batches": 2, "num_threads": 1},
    **{"n_rays": 128, "frames_per_step": 2, "val_check_interval": 100, "max_updates": 3},
}
HEAD: dict[str, Any] = {
    **{"plane_sizes": (16, 32), "blend_size": 16, "grid_size": 24, "step_size": 0.01, "fog_steps": 0},
    **{"cond_type": "speech", "cond_win_size": 16, "smo_win_size": 8, "with_att": True},
}
TORSO: dict[str, Any] = {"torso_texture_size": 32, "torso_grid_size": 8, "head_model_dir": "checkpoints/tiny/speech"}
FRAMES = 24


def run(task: type[Task], config: NerfHeadConfig | NerfTorsoConfig, name: str) -> Path:
    work_dir = paths.experiment(name)
    prepare(work_dir, config, name, reset=False)
    train(task, config, work_dir)
    return work_dir


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with a person, a head that hears speech and a torso under it."""
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(root))
        write_tiny_person(root / "data" / "binary" / "videos" / "tiny", num_frames=FRAMES, size=24)
        head = NerfHeadTask.resolve(NerfHeadConfig(**COMMON, **HEAD))
        assert isinstance(head, NerfHeadConfig)
        run(NerfHeadTask, head, "tiny/speech")
        run(NerfTorsoTask, NerfTorsoConfig(**COMMON, **TORSO), "tiny/speech_torso")
    return root


@pytest.fixture
def store(root: Path, monkeypatch: pytest.MonkeyPatch) -> PersonStore:
    monkeypatch.setenv("GENEFACE_ROOT", str(root))
    return PersonStore(paths.binary_video("tiny"))


def renderer_of(store: PersonStore) -> FrameRenderer:
    folders = [paths.experiment(name) for name in ("tiny/speech", "tiny/speech_torso")]
    return FrameRenderer.from_experiments(*folders, store, device="cpu", amp="off")


def test_the_width_of_the_condition_comes_from_the_dataset(store: PersonStore) -> None:
    config = NerfHeadTask.resolve(NerfHeadConfig(**COMMON, **HEAD))
    assert isinstance(config, NerfHeadConfig)
    assert config.cond_in_dim == store.manifest.speech_dim
    config = NerfHeadTask.resolve(NerfHeadConfig(**COMMON))
    assert isinstance(config, NerfHeadConfig)
    assert config.cond_in_dim == 204


def test_validation_and_inference_render_equal_bits(store: PersonStore) -> None:
    task = NerfTorsoTask(NerfTorsoConfig(**COMMON, **TORSO))
    checkpoint.load_strict(task.model, checkpoint.load_model(paths.experiment("tiny/speech_torso"))[0], "torso")
    renderer = renderer_of(store).speaking(clip_windows(store, np.arange(FRAMES)))
    conditions, validation = renderer.conditions(np.asarray(store.lm3d)), task.val_dataset()
    frame = int(validation.frames[0])  # type: ignore[attr-defined]
    with torch.inference_mode():
        picture = task.render(validation[0])
    shown = renderer.render(conditions, frame, store.c2w[frame])
    assert np.array_equal(shown, (picture * 255 + 0.5).to(torch.uint8).numpy())


def test_a_renderer_that_hears_must_be_told_the_speech(store: PersonStore) -> None:
    renderer = renderer_of(store)
    assert renderer.speech_kinds == {"speech"}
    with pytest.raises(DataError, match="needs to hear the speech"):
        renderer.conditions(np.asarray(store.lm3d))


def test_the_picture_follows_speech_and_not_landmarks(store: PersonStore) -> None:
    lm3d, dim = np.array(store.lm3d), store.manifest.speech_dim
    pictures = []
    for sound, landmarks in ((0.0, lm3d), (0.0, lm3d + 3), (50.0, lm3d)):

        def heard(kind: str, window: int, smoothing: int, value: float = sound) -> torch.Tensor:
            return torch.full((1, smoothing, window, dim), value)

        renderer = renderer_of(store).speaking(heard)
        pictures.append(renderer.render(renderer.conditions(landmarks), 0, store.c2w[0]))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_no_landmark_enters_a_head_that_hears() -> None:
    head = HeadModel(NerfHeadConfig(**COMMON, **HEAD, cond_in_dim=40))
    names = {name.split(".")[1] for name, _ in head.named_parameters()}
    assert not names & {"eye_encoder", "eye_blend", "warp"}
    assert head.field.face_blend is not None
    assert len(head.field.face_blend.planes) == 18, "the sound has all mixed planes to itself"
