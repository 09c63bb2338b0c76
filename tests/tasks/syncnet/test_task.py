"""Training SyncNet on clips whose speech determines the lips."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.pretrained import load_pretrained
from modules.syncnet.model import SyncNet
from modules.syncnet.shift_curve import shift_curve
from tasks.syncnet.dataset import SyncPairs, SyncValidation
from tasks.syncnet.task import SyncNetTask, SyncNetTaskConfig
from tests.support.motion_root import write_data
from tests.support.motion_runs import COMMON, SYNC, assert_resume_is_exact, run, sync_config
from tests.support.tiny_corpus import write_tiny_corpus
from utils.commons.checkpoint import load_model
from utils.commons.experiment import load_experiment_config
from utils.commons.schema import DataError
from utils.data import paths


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path))
    write_data(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "choice", [{}, {"sync_pairing": "all"}, {"sync_pairing": "all", "syncnet_embedding": "frames"}], ids=str
)
def test_training_separates_shifted_from_aligned_windows_of_unseen_clips(choice: dict[str, str]) -> None:
    config = sync_config(**choice, max_updates=100, val_check_interval=100, num_sanity_val_steps=0)
    work_dir = run(SyncNetTask, config, "tiny/syncnet")
    model, _, _ = load_pretrained(SyncNet, work_dir)
    data = SyncValidation(config, win=9)  # type: ignore[arg-type]
    curves = [shift_curve(model, data[i]["speech"][0], data[i]["y"][0], 9) for i in range(len(data))]
    total = sum(curves[1:], curves[0])
    assert total.accuracy() > 0.8
    assert total.best_shift() == 0


@pytest.mark.parametrize("pairing", ["drawn", "all"])
@pytest.mark.parametrize("embedding", ["average", "frames"])
def test_resume_equals_the_uninterrupted_run_bit_by_bit(pairing: str, embedding: str, tmp_path: Path) -> None:
    config = sync_config(
        max_updates=10, sync_pairing=pairing, syncnet_embedding=embedding, syncnet_dropout=0.1, speech_noise=0.1
    )
    assert_resume_is_exact(SyncNetTask, config, tmp_path)


def test_batches_depend_on_step_seed_and_rank_alone() -> None:
    config = sync_config(mouth_noise=0.1)

    def batch(step: int, seed: int, rank: int) -> torch.Tensor:
        return SyncPairs(config, win=9, num_steps=9, seed=seed, rank=rank)[step]["mouth"]  # type: ignore[arg-type]

    assert torch.equal(batch(3, 1, 0), batch(3, 1, 0))
    for other in (batch(4, 1, 0), batch(3, 2, 0), batch(3, 1, 1)):
        assert not torch.equal(batch(3, 1, 0), other)


def test_width_and_encoder_come_from_the_corpus_and_are_saved() -> None:
    work_dir = run(SyncNetTask, sync_config(max_updates=1), "tiny/syncnet")
    values = load_experiment_config(work_dir)
    assert (values["speech_dim"], values["speech_encoder"]) == (8, "tiny")


def test_another_encoder_than_the_corpus_holds_is_refused() -> None:
    with pytest.raises(DataError, match=r"'hubert' of width 1024.*'tiny' of width 8"):
        sync_config(speech_encoder="hubert", speech_dim=1024)


def test_windows_longer_than_every_clip_are_refused() -> None:
    task = SyncNetTask(sync_config(sync_win_frames=99))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no clip of corpus tiny has 99 frames"):
        task.train_dataset(rank=0, world_size=1)


def test_a_corpus_without_validation_clips_is_refused(root: Path) -> None:
    write_tiny_corpus(root / "data" / "binary" / "one", clips_per_speaker=1)
    with pytest.raises(DataError, match="corpus one has no clip in its train split"):
        SyncNetTask.resolve(SyncNetTaskConfig(**{**COMMON, **SYNC, "corpus": "one"}))


def test_the_curve_is_drawn_after_a_validation() -> None:
    task = SyncNetTask(sync_config())  # type: ignore[arg-type]
    data = task.val_dataset()
    with torch.no_grad():
        figures = task.validation_step(data[0], step=0)
    assert {"val_loss", "sync_acc"} <= figures.keys()
    (media,) = task.validation_media(step=0)
    assert media.kind == "image"
    assert media.data.min() < media.data.max()
    assert task.validation_media(step=0) == []


def test_training_can_start_from_another_experiments_weights() -> None:
    run(SyncNetTask, sync_config(max_updates=1), "tiny/syncnet")
    task = SyncNetTask(sync_config(init_work_dir="checkpoints/tiny/syncnet"))  # type: ignore[arg-type]
    tensors, _ = load_model(paths.experiment("tiny/syncnet"))
    assert all(torch.equal(tensors[name], tensor) for name, tensor in task.model.state_dict().items())
    with pytest.raises(DataError, match="belongs to another model"):
        SyncNetTask(sync_config(init_work_dir="checkpoints/tiny/syncnet", syncnet_res_blocks=1))  # type: ignore[arg-type]


def test_a_mouth_offset_moves_a_window_as_a_whole() -> None:
    still, moved = (
        SyncPairs(sync_config(mouth_offset=offset), win=9, num_steps=4, seed=1, rank=0)[0]["mouth"]  # type: ignore[arg-type]
        for offset in (0.0, 0.05)
    )
    offset = moved - still
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset), atol=1e-5, rtol=0)
    assert 0.03 < float(offset[:, 0].std()) < 0.07
