"""Training the audio-to-motion model on clips whose speech determines the lips."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.audio2motion.figures import motion_figures, to_points
from modules.audio2motion.model import Audio2MotionVAE
from modules.pretrained import load_pretrained
from tasks.audio2motion.dataset import MotionCrops, WholeClips
from tasks.audio2motion.task import Audio2MotionTask
from tasks.syncnet.task import SyncNetTask
from tests.support.motion_root import write_data
from tests.support.motion_runs import assert_resume_is_exact, run, sync_config, vae_config
from tests.support.tiny_corpus import write_tiny_corpus
from utils.commons.schema import DataError

SYNC_DIR = "checkpoints/tiny/syncnet"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path))
    write_data(tmp_path)
    return tmp_path


def _task(**changes: object) -> Audio2MotionTask:
    return Audio2MotionTask(vae_config(**changes))  # type: ignore[arg-type]


def test_training_moves_the_lips_of_unseen_clips_as_their_speech_says() -> None:
    config = vae_config(
        max_updates=120, lambda_prior=1.0, lambda_kl=0.01, val_check_interval=120, num_sanity_val_steps=0
    )
    model, _, _ = load_pretrained(Audio2MotionVAE, run(Audio2MotionTask, config, "tiny/lm3d_vae"))
    batch = WholeClips(config)[0]  # type: ignore[arg-type]
    pred = model.infer(batch["speech"], batch["y_mask"], temperature=0)
    frames = int(batch["y_mask"].sum())
    points, truth = (to_points(value[0, :frames], batch["neutral"][0]) for value in (pred, batch["y"]))
    assert motion_figures(points, truth)["lip_corr"] > 0.9


def test_resume_equals_the_uninterrupted_run_bit_by_bit(tmp_path: Path) -> None:
    run(SyncNetTask, sync_config(max_updates=2), "tiny/syncnet")
    config = vae_config(max_updates=10, syncnet_work_dir=SYNC_DIR, sync_gate=99.0, vae_dropout=0.1, lambda_prior=1.0)
    assert_resume_is_exact(Audio2MotionTask, config, tmp_path)


def test_the_content_of_padded_frames_changes_no_loss() -> None:
    task = _task(lambda_prior=1.0, lambda_lip=1.0)
    task.model.eval()
    batch = MotionCrops(task.config, sync_win=0, num_steps=9, seed=0, rank=0)[0]
    batch["y_mask"][1, 16:] = 0
    terms = []
    for filler in (0.0, 50.0):
        changed = {name: tensor.clone() for name, tensor in batch.items()}
        changed["y"][1, 16:] = filler
        changed["speech"][1, 32:] = filler
        with torch.random.fork_rng():
            torch.random.set_rng_state(torch.Generator().manual_seed(5).get_state())
            terms.append(task.training_step(changed, step=0, optimizer="main"))
    for name, value in terms[0].items():
        torch.testing.assert_close(value, terms[1][name], msg=name)


def test_the_gate_opens_by_a_validation_and_is_saved() -> None:
    run(SyncNetTask, sync_config(max_updates=2), "tiny/syncnet")
    task = _task(syncnet_work_dir=SYNC_DIR, sync_gate=0.5)
    batch = task.train_dataset(rank=0, world_size=1)[0]
    assert "sync" not in task.training_step(batch, step=0, optimizer="main")
    task.validation_end({"val_sync": 0.6})
    assert task.state() == {"sync_open": False}
    task.validation_end({"val_sync": 0.4})
    again = _task(syncnet_work_dir=SYNC_DIR)
    again.load_state(task.state())
    terms = again.training_step(batch, step=0, optimizer="main")
    assert terms.keys() == again.loss_weights(step=0, progress=0.0, optimizer="main").keys()
    assert terms["sync"] > 0


def test_the_gate_opens_late_in_training_at_the_latest() -> None:
    run(SyncNetTask, sync_config(max_updates=2), "tiny/syncnet")
    task = _task(syncnet_work_dir=SYNC_DIR, sync_gate=0.0, sync_gate_progress=0.5)
    task.before_step(3, 0.4)
    assert not task.state()["sync_open"]
    task.before_step(4, 0.5)
    assert task.state()["sync_open"]


def test_the_weight_of_the_divergence_rises_over_its_ramp() -> None:
    task = _task(lambda_kl=0.4, kl_ramp=0.5)
    weights = [
        task.loss_weights(step=0, progress=progress, optimizer="main")["kl"] for progress in (0.0, 0.25, 0.5, 1.0)
    ]
    assert weights == pytest.approx([0.0, 0.2, 0.4, 0.4])


def test_a_sync_expert_of_another_encoder_is_refused_by_name(root: Path) -> None:
    write_tiny_corpus(root / "data" / "binary" / "other", speech_dim=5, encoder="mel")
    run(SyncNetTask, sync_config(max_updates=1, corpus="other"), "other/syncnet")
    with pytest.raises(
        DataError, match=r"checkpoints/other/syncnet needs speech features 'mel' of width 5, but.*'tiny'"
    ):
        vae_config(syncnet_work_dir="checkpoints/other/syncnet")


def test_a_missing_sync_expert_says_how_to_train_it() -> None:
    with pytest.raises(FileNotFoundError, match="train_syncnet"):
        vae_config(syncnet_work_dir=SYNC_DIR)


def test_noise_and_masks_leave_the_experts_speech_clean() -> None:
    config = vae_config(speech_noise=1.0, speech_mask_share=0.3)
    batch = MotionCrops(config, sync_win=9, num_steps=9, seed=0, rank=0)[0]  # type: ignore[arg-type]
    plain = MotionCrops(vae_config(), sync_win=9, num_steps=9, seed=0, rank=0)[0]  # type: ignore[arg-type]
    assert torch.equal(batch["clean_speech"], plain["speech"])
    assert (batch["speech"] == 0).all(-1).any()
