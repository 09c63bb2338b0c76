from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.nerf.renderers.frame_renderer import FrameRenderer
from tasks.nerf.batch import head_alone, thin_rays
from tasks.nerf.config import NerfHeadConfig, NerfTorsoConfig
from tasks.nerf.dataset import lip_patch, rarity
from tasks.nerf.task import NerfHeadTask, NerfTorsoTask
from tasks.run import prepare
from tasks.trainer import train
from tests.support.tiny_person import write_tiny_person
from utils.commons import checkpoint
from utils.commons.runtime import Runtime
from utils.commons.schema import ConfigError, DataError
from utils.data import paths
from utils.data.person_store import PersonStore

COMMON = {"video_id": "tiny", "amp": "off", "num_sanity_val_steps": 0, "eval_max_batches": 2, "num_threads": 1}
HEAD = {
    **COMMON,
    **{"plane_sizes": (16, 32), "blend_size": 16, "warp_grid_size": 16, "grid_size": 24, "step_size": 0.01},
    **{"n_rays": 256, "frames_per_step": 2, "fog_steps": 2, "lr": 5e-3, "update_extra_interval": 2},
}
TORSO = {**COMMON, "n_rays": 256, "frames_per_step": 2, "torso_texture_size": 32, "torso_grid_size": 8, "lr": 2e-3}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_tiny_person(root / "data" / "binary" / "videos" / "tiny", num_frames=24, size=32)
    return root


@pytest.fixture(autouse=True)
def _root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEFACE_ROOT", str(root))


def run(kind: str, name: str, *, updates: int, **keys: object) -> Path:
    work_dir = paths.experiment(name)
    if kind == "head":
        task, config = NerfHeadTask, NerfHeadConfig(**{**HEAD, "max_updates": updates, **keys})
    else:
        task, config = NerfTorsoTask, NerfTorsoConfig(**{**TORSO, "max_updates": updates, **keys})
    prepare(work_dir, config, name, reset=False)
    train(task, config, work_dir)
    return work_dir


@pytest.fixture(scope="module")
def head_dir(root: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(root))
        return run("head", "tiny/lm3d_nerf", updates=6, val_check_interval=100)


@pytest.mark.parametrize("kind", ["head", "torso"])
def test_resume_equals_uninterrupted_run(kind: str, head_dir: Path) -> None:
    # schedules follow progress = step / max_updates, so both runs have the same end and one stops at a checkpoint
    keys = {"val_check_interval": 3, "num_ckpt_keep": 9}
    whole = run(kind, f"tiny/{kind}_whole", updates=6, **keys)
    halved = run(kind, f"tiny/{kind}_halved", updates=6, **keys)
    for file in halved.glob("*_steps_6.*"):
        file.unlink()
    assert checkpoint.latest_step(halved) == 3
    run(kind, f"tiny/{kind}_halved", updates=6, **keys)
    expected, _ = checkpoint.load_model(whole, 6)
    resumed, _ = checkpoint.load_model(halved, 6)
    assert expected.keys() == resumed.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name


def test_validation_and_inference_render_equal_bits(head_dir: Path) -> None:
    torso_dir = run("torso", "tiny/torso_bits", updates=3, val_check_interval=100)
    task = NerfTorsoTask(NerfTorsoConfig(**TORSO))
    tensors, _ = checkpoint.load_model(torso_dir)
    checkpoint.load_strict(task.model, tensors, "torso")
    store = PersonStore(paths.binary_video("tiny"))
    frames = FrameRenderer.from_experiments(head_dir, torso_dir, store, device="cpu", amp="off")
    conditions = frames.conditions(np.asarray(store.lm3d))
    validation = task.val_dataset()
    for number in range(2):
        batch = validation[number]
        with torch.inference_mode():
            picture = task.render(batch)
        frame = int(validation.frames[number])  # type: ignore[attr-defined]
        shown = frames.render(conditions, frame, store.c2w[frame])
        assert np.array_equal(shown, (picture * 255 + 0.5).to(torch.uint8).numpy())


@pytest.mark.parametrize("size", [None, 20, 1])
def test_frames_of_any_size_are_rendered(head_dir: Path, size: int | None) -> None:
    store = PersonStore(paths.binary_video("tiny"))
    frames = FrameRenderer.from_experiments(head_dir, None, store, device="cpu", amp="off", image_size=size)
    picture = frames.render(frames.conditions(np.asarray(store.lm3d[:1])), 0, store.c2w[0])
    assert picture.dtype == np.uint8
    assert picture.shape == (*frames.size, 3)
    assert frames.size[0] == (size or 32)


def test_landmarks_of_another_shape_are_refused(head_dir: Path) -> None:
    store = PersonStore(paths.binary_video("tiny"))
    frames = FrameRenderer.from_experiments(head_dir, None, store, device="cpu", amp="off")
    with pytest.raises(ValueError, match=r"lm3d must be \[T,68,3\]"):
        frames.conditions(np.zeros((4, 204), np.float32))


def test_head_learns_the_drawn_person(root: Path) -> None:
    config = NerfHeadConfig(**{**HEAD, "n_rays": 1024, "fog_steps": 0})
    with Runtime.create("cpu", amp="off").forked_rng(Runtime.INITIAL):
        task = NerfHeadTask(config)
    data, spec = task.train_dataset(rank=0, world_size=1), task.optimizers()["head"]
    optimizer = torch.optim.Adam(spec.groups, eps=spec.eps)
    errors = []
    for step in range(100):
        task.before_step(step, step / 100)
        terms = task.training_step(data[step], step=step, optimizer="head")
        weights = task.loss_weights(step=step, progress=step / 100, optimizer="head")
        sum(terms[name] * weights[name] for name in weights).backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(float(terms["mse"].detach()))
    assert np.mean(errors[-5:]) < 0.15 * np.mean(errors[:5])


def test_batches_are_a_function_of_seed_step_and_rank(root: Path) -> None:
    task = NerfHeadTask(NerfHeadConfig(**HEAD))
    same = [task.train_dataset(rank=0, world_size=1)[4] for _ in range(2)]
    other = task.train_dataset(rank=1, world_size=2)[4]
    assert all(torch.equal(same[0][key], same[1][key]) for key in same[0])
    assert not torch.equal(same[0]["rows"], other["rows"])


def test_frames_stay_some_steps_and_a_batch_does_not_depend_on_those_before(root: Path) -> None:
    keys = {**HEAD, "frames_per_step": 4, "frame_stay_steps": 2, "rare_frames_weight": 0.0}
    data = NerfHeadTask(NerfHeadConfig(**keys)).train_dataset(rank=0, world_size=1)
    batches = [data[step] for step in range(6)]
    for before, after in itertools.pairwise(batches):
        assert int((before["frame_rows"] == after["frame_rows"]).sum()) >= 2
        assert not torch.equal(before["rows"], after["rows"])
    assert len({int(row) for batch in batches for row in batch["frame_rows"]}) > 4
    fresh = NerfHeadTask(NerfHeadConfig(**keys)).train_dataset(rank=0, world_size=1)[5]
    assert all(torch.equal(fresh[key], batches[5][key]) for key in fresh)


def test_hair_is_learnt_as_the_picture_shows_it_over_the_background() -> None:
    masks = torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.6, 0.4], [0.0, 0.7], [0.0, 0.0]])
    batch = {"masks": masks, "gt": torch.full((5, 3), 0.8), "background": torch.full((5, 3), 0.2)}
    torch.testing.assert_close(head_alone(batch)[:, 0], torch.tensor([0.8, 0.8, 0.56, 0.2, 0.2]))


def test_thinned_batches_keep_every_frame(root: Path) -> None:
    batch = NerfHeadTask(NerfHeadConfig(**HEAD)).train_dataset(rank=0, world_size=1)[0]
    thin = thin_rays(batch, 4)
    assert len(thin["rows"]) == 64
    assert torch.equal(thin["cond"], batch["cond"])
    assert torch.equal(thin["rows"][32:], batch["rows"][128::4])


def test_blinks_are_drawn_more_often() -> None:
    lm3d = np.zeros((50, 68, 3))
    lm3d[:, [37, 38, 43, 44], 1] = 0.8
    lm3d[7, [37, 38, 43, 44], 1] = 0.0
    weights = rarity(lm3d, 0.5)
    assert int(weights.argmax()) == 7
    assert float(weights[7]) > 4 * float(weights[0])
    assert torch.equal(rarity(lm3d, 0.0), torch.ones(50, dtype=torch.float64))


def test_a_person_without_training_frames_is_refused(root: Path) -> None:
    store = write_tiny_person(paths.binary_video("unseen"), num_frames=4, size=16)
    np.save(store.root / "valid.npy", np.zeros(4, bool))
    with pytest.raises(DataError, match="no training frame"):
        NerfHeadTask(NerfHeadConfig(**{**HEAD, "video_id": "unseen"}))


def test_a_torso_needs_its_head(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        NerfTorsoTask(NerfTorsoConfig(**{**TORSO, "head_model_dir": "checkpoints/tiny/nothing"}))


def test_a_torso_is_as_sharp_as_the_pictures(root: Path) -> None:
    resolved = NerfTorsoTask.resolve(NerfTorsoConfig(**{**TORSO, "torso_texture_size": 0}))
    assert resolved.torso_texture_size == 32  # type: ignore[attr-defined]
    chosen = NerfTorsoConfig(**{**TORSO, "torso_texture_size": 48})
    assert NerfTorsoTask.resolve(chosen) is chosen


def test_experiments_hold_their_own_networks_only(head_dir: Path) -> None:
    torso_dir = run("torso", "tiny/torso_names", updates=1, val_check_interval=100)
    names = {name.split(".")[0] for name in checkpoint.load_model(torso_dir)[0]}
    assert names == {"torso"}
    assert {name.split(".")[0] for name in checkpoint.load_model(head_dir)[0]} == {"head", "poses"}


def test_a_patch_of_the_lips_is_compared_late(root: Path) -> None:
    task = NerfHeadTask(NerfHeadConfig(**{**HEAD, "n_rays": 3000}))
    batch = task.train_dataset(rank=0, world_size=1)[0]
    first = slice(0, 17 * 17)
    assert (batch["rows"][first].view(17, 17).diff(dim=0) == 1).all()
    assert (batch["columns"][first].view(17, 17).diff(dim=1) == 1).all()
    for progress, expected in ((0.1, False), (0.9, True)):
        task.before_step(5, progress)
        terms = task.training_step(batch, step=5, optimizer="head")
        weights = task.loss_weights(step=5, progress=progress, optimizer="head")
        assert terms.keys() == weights.keys()
        assert ("lip_ssim" in terms) == expected


def test_a_patch_larger_than_the_pictures_is_refused(root: Path) -> None:
    task = NerfHeadTask(NerfHeadConfig(**{**HEAD, "n_rays": 12000, "lip_patch": 33}))
    with pytest.raises(ConfigError, match="lip_patch=33 does not fit into pictures of 32x32"):
        task.train_dataset(rank=0, world_size=1)


def test_too_few_lip_rays_make_no_patch() -> None:
    assert lip_patch(NerfHeadConfig(**{**HEAD, "n_rays": 256})) == 0
    assert lip_patch(NerfHeadConfig(**{**HEAD, "n_rays": 3000})) == 17
    assert lip_patch(NerfHeadConfig(**{**HEAD, "n_rays": 3000, "lambda_lip_ssim": 0})) == 0
