"""The original's fields learn, resume and render through the same task, datasets and inference as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.vanilla_speech import clip_windows
from modules.nerf.conditions import speech_conditions, stored_speech_condition
from modules.nerf.renderers.vanilla_renderer import VanillaRenderer
from modules.nerf.vanilla_model import depth_range
from tasks.base_task import Task, TaskConfig
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig
from tasks.nerf.task import NerfHeadTask, NerfTorsoTask
from tasks.nerf.vanilla import VanillaHeadTask, VanillaTorsoTask
from tasks.run import prepare
from tasks.trainer import train
from tests.support.tiny_person import write_tiny_person
from utils.commons import checkpoint
from utils.commons.hparams import build_config, load_config
from utils.commons.schema import ConfigError, DataError
from utils.data import paths
from utils.data.person_store import PersonStore

SMALL: dict[str, Any] = {
    **{"video_id": "tiny", "amp": "off", "num_sanity_val_steps": 0, "eval_max_batches": 1, "num_threads": 1},
    **{"field": "vanilla", "vanilla_hidden_size": 16, "n_samples_per_ray": 8, "n_samples_per_ray_fine": 8},
    **{"n_rays": 64, "frames_per_step": 2, "lr": 2e-3},
}
SPEECH: dict[str, Any] = {"cond_type": "speech", "cond_win_size": 16, "smo_win_size": 8, "with_att": True}
FRAMES = 24


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_tiny_person(root / "data" / "binary" / "videos" / "tiny", num_frames=FRAMES, size=20)
    return root


@pytest.fixture(autouse=True)
def _root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEFACE_ROOT", str(root))


def resolved(**keys: Any) -> tuple[type[Task], TaskConfig]:
    """Return what the command line makes of a configuration."""
    if "head_model_dir" in keys:
        config: TaskConfig = NerfTorsoConfig(**{**SMALL, **keys})
        task_cls = NerfTorsoTask.variant(config)
    else:
        config = NerfHeadConfig(**{**SMALL, **keys})
        task_cls = NerfHeadTask.variant(config)
    return task_cls, task_cls.resolve(config)


def run(name: str, *, updates: int, **keys: Any) -> Path:
    task_cls, config = resolved(max_updates=updates, **keys)
    work_dir = paths.experiment(name)
    prepare(work_dir, config, name, reset=False)
    train(task_cls, config, work_dir)
    return work_dir


@pytest.fixture(scope="module")
def heads(root: Path) -> dict[str, Path]:
    """Return a head driven by landmarks and one driven by speech."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(root))
        keys: dict[str, Any] = {"updates": 4, "val_check_interval": 100}
        return {
            "lm3d": run("tiny/lm3d_nerf", with_att=True, no_smo_iterations=2, **keys),
            "speech": run("tiny/adnerf", **SPEECH, **keys),
        }


def test_the_key_field_chooses_the_task() -> None:
    assert resolved()[0] is VanillaHeadTask
    assert resolved(head_model_dir="x")[0] is VanillaTorsoTask
    assert NerfHeadTask.variant(NerfHeadConfig(video_id="tiny")) is NerfHeadTask
    assert NerfHeadTask.variant(NerfHeadConfig(video_id="tiny", cond_type="speech")) is NerfHeadTask


def test_depths_and_widths_come_from_the_dataset() -> None:
    store = PersonStore(paths.binary_video("tiny"))
    _, config = resolved(**SPEECH)
    assert isinstance(config, NerfHeadConfig)
    assert (config.near, config.far) == depth_range(store)
    assert config.near == pytest.approx(0.4, abs=0.02)
    assert config.cond_in_dim == store.manifest.speech_dim
    _, config = resolved(near=0.3, far=0.9)
    assert isinstance(config, NerfHeadConfig)
    assert (config.near, config.far, config.cond_in_dim) == (0.3, 0.9, 204)
    with pytest.raises(ConfigError, match="far must be beyond near"):
        VanillaHeadTask(NerfHeadConfig(**{**SMALL, "near": 1.0, "far": 0.9}))


def test_smoothing_begins_when_it_is_told_to(heads: dict[str, Path]) -> None:
    tensors, _ = checkpoint.load_model(heads["lm3d"])
    assert bool(tensors["head.attention_on"])
    task = VanillaHeadTask(resolved(with_att=True, no_smo_iterations=2)[1])  # type: ignore[arg-type]
    for step, is_on in ((0, False), (1, False), (2, True), (3, True)):
        task.before_step(step, 0.0)
        assert bool(task.head.attention_on) == is_on


@pytest.mark.parametrize("kind", ["lm3d", "speech", "torso"])
def test_resume_equals_uninterrupted_run(kind: str, heads: dict[str, Path]) -> None:
    own: dict[str, Any] = {"lm3d": {}, "speech": SPEECH, "torso": {"head_model_dir": str(heads["lm3d"])}}[kind]
    keys = {"val_check_interval": 2, "num_ckpt_keep": 9, **own}
    whole, halved = (run(f"tiny/{kind}_{name}", updates=4, **keys) for name in ("whole", "halved"))
    for file in halved.glob("*_steps_4.*"):
        file.unlink()
    run(f"tiny/{kind}_halved", updates=4, **keys)
    expected, again = checkpoint.load_model(whole, 4)[0], checkpoint.load_model(halved, 4)[0]
    assert all(torch.equal(tensor, again[name]) for name, tensor in expected.items())


@pytest.mark.parametrize("kind", ["lm3d", "speech"])
def test_validation_and_inference_render_equal_bits(kind: str, heads: dict[str, Path]) -> None:
    torso_dir = run(f"tiny/{kind}_torso", updates=2, val_check_interval=100, head_model_dir=str(heads[kind]))
    config = build_config(NerfTorsoConfig, load_config(torso_dir / "config.yaml"))
    task = VanillaTorsoTask(config)
    checkpoint.load_strict(task.model, checkpoint.load_model(torso_dir)[0], "torso")
    store = PersonStore(paths.binary_video("tiny"))
    renderer = VanillaRenderer.from_experiments(heads[kind], torso_dir, store, device="cpu")
    with pytest.raises(DataError, match="needs to hear the speech"):
        renderer.conditions(np.asarray(store.lm3d))
    renderer = renderer.speaking(clip_windows(store, np.arange(FRAMES)))
    conditions = renderer.conditions(np.asarray(store.lm3d))
    batch = task.val_dataset()[0]
    with torch.inference_mode():
        picture = task.render(batch)
    frame = int(task.val_dataset().frames[0])  # type: ignore[attr-defined]
    shown = renderer.render(conditions, frame, store.c2w[frame])
    assert np.array_equal(shown, (picture * 255 + 0.5).to(torch.uint8).numpy())
    assert shown.shape == (20, 20, 3)


@pytest.mark.parametrize("keys", [{}, SPEECH])
def test_a_head_learns(keys: dict[str, Any]) -> None:
    task_cls, config = resolved(**keys, vanilla_hidden_size=32, n_rays=128, lr=5e-3, lip_rays_percent=0.0)
    torch.manual_seed(1)
    task = task_cls(config)
    assert isinstance(task, VanillaHeadTask)
    data, spec = task.train_dataset(rank=0, world_size=1), task.optimizers()["head"]
    optimizer = torch.optim.Adam(spec.groups)
    errors = []
    for step in range(40):
        task.before_step(step, step / 40)
        terms = task.training_step(data[step], step=step, optimizer="head")
        assert terms.keys() == task.loss_weights(step=step, progress=0.0, optimizer="head").keys()
        sum(terms.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad()
        errors.append(float(terms["mse"].detach()))
    assert np.mean(errors[-5:]) < 0.6 * np.mean(errors[:5])


def test_speech_windows_begin_half_a_window_early_and_do_not_cross_cuts(root: Path) -> None:
    rows = torch.arange(12.0)[:, None]
    windows = speech_conditions(rows, window=4, smoothing=3)
    assert (len(windows), windows[0].shape) == (6, (3, 4, 1))
    assert windows[2][1, :, 0].tolist() == [2, 3, 4, 5]
    assert windows[0][0, :, 0].tolist() == [0, 0, 0, 1]
    store = write_tiny_person(root / "cut", num_frames=20, size=8, segments=[(0, 9), (9, 20)])
    part = speech_conditions(torch.from_numpy(np.array(store.speech[18:40], np.float32)), window=16, smoothing=8)
    for frame in (9, 12, 19):
        found = stored_speech_condition(store, frame, "speech", window=16, smoothing=8)
        assert torch.equal(found, part[frame - 9])


def test_a_torso_of_another_kind_is_refused(heads: dict[str, Path]) -> None:
    store = PersonStore(paths.binary_video("tiny"))
    other = paths.experiment("tiny/other")
    other.mkdir(parents=True, exist_ok=True)
    (other / "config.yaml").write_text("field: warp\n")
    with pytest.raises(DataError, match="checkpoints/tiny/other is no vanilla torso, as checkpoints/tiny/lm3d_nerf"):
        VanillaRenderer.from_experiments(heads["lm3d"], other, store, device="cpu")


def test_a_torso_hears_what_its_head_hears(heads: dict[str, Path]) -> None:
    _, config = resolved(head_model_dir=str(heads["speech"]), torso_smo_win_size=5)
    with pytest.raises(ConfigError, match="must be those of the head that hears the speech"):
        VanillaTorsoTask(config).train_dataset(rank=0, world_size=1)  # type: ignore[arg-type]
