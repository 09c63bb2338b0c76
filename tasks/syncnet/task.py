"""Train the lip-sync expert on a corpus of talking clips."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from modules.losses.motion import all_pairs_sync_loss, sync_loss
from modules.optim.schedules import schedule
from modules.pretrained import start_from
from modules.syncnet.model import SyncNet, SyncNetConfig
from modules.syncnet.pairs import cut_pairs
from modules.syncnet.shift_curve import MAX_SHIFT, NEAR_SHIFT, ShiftCurve, shift_curve
from tasks.base_task import BatchDataset, Media, OptimizerSpec, Task, TaskConfig
from tasks.syncnet.dataset import SyncDataConfig, SyncPairs, SyncValidation
from utils.data.clip_motion import SpeechKind, check_same_speech
from utils.data.corpora import open_corpus
from utils.data.paths import under_work_root
from utils.media.plots import line_plot


class SyncNetTaskConfig(TaskConfig, SyncNetConfig, SyncDataConfig):
    """All keys of a SyncNet run."""

    init_work_dir: str = ""
    """Experiment whose weights training starts from, such as ``generic/syncnet``; empty starts anew."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""

    @model_validator(mode="after")
    def _check_shifts(self) -> Self:
        if self.sync_max_shift < self.sync_min_shift:
            raise ValueError(f"sync_max_shift {self.sync_max_shift} is below sync_min_shift {self.sync_min_shift}")
        return self


class SyncNetTask(Task):
    """Binary cross entropy on the cosine of speech and mouth windows."""

    config_cls = SyncNetTaskConfig
    config: SyncNetTaskConfig
    model: SyncNet

    def __init__(self, config: SyncNetTaskConfig) -> None:
        super().__init__(config)
        self.model = SyncNet(config)
        if config.init_work_dir:
            start_from(self.model, under_work_root(config.init_work_dir))
        self._curve: ShiftCurve | None = None

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Take encoder and width of the speech features from the corpus."""
        assert isinstance(config, SyncNetTaskConfig)
        manifest = open_corpus(config, "train").manifest
        corpus = SpeechKind(f"corpus {manifest.name}", manifest.speech_encoder, manifest.speech_dim)
        check_same_speech(corpus, SpeechKind("this configuration", config.speech_encoder, config.speech_dim))
        return config.model_copy(update={"speech_encoder": corpus.encoder, "speech_dim": corpus.dim})

    def optimizers(self) -> dict[str, OptimizerSpec]:
        groups = [{"params": list(self.model.parameters()), "lr": self.config.lr}]
        return {
            "main": OptimizerSpec(
                groups=groups,
                kind="adamw",
                weight_decay=self.config.weight_decay,
                schedule=schedule("cosine", warmup_updates=self.config.warmup_updates),
                clip_grad_norm=self.config.clip_grad_norm,
            )
        }

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        c = self.config
        return SyncPairs(c, win=c.sync_win_frames, num_steps=c.max_updates, seed=c.seed, rank=rank)

    def val_dataset(self) -> BatchDataset:
        return SyncValidation(self.config, win=self.config.sync_win_frames)

    def training_step(self, batch: dict[str, Tensor], *, step: int, optimizer: str) -> dict[str, Tensor]:
        if self.config.sync_pairing == "drawn":
            return {"sync": sync_loss(self.model(batch["speech"], batch["mouth"]), batch["labels"])}
        cosine = self.model.embed_mouth(batch["mouth"]) @ self.model.embed_speech(batch["speech"]).T
        shift, foreign = self.config.sync_min_shift, self.config.sync_foreign
        return {"sync": all_pairs_sync_loss(cosine, batch["clip"], batch["start"], min_shift=shift, foreign=foreign)}

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        return {"sync": 1.0}

    def validation_step(self, batch: dict[str, Tensor], *, step: int) -> dict[str, float]:
        curve = shift_curve(self.model, batch["speech"][0], batch["y"][0], self.config.sync_win_frames)
        before = None if not int(batch["index"][0]) else self._curve
        self._curve = curve if before is None else before + curve
        return {"val_loss": self._loss(batch), "sync_acc": curve.accuracy()}

    def _loss(self, batch: dict[str, Tensor]) -> float:
        """Return the loss over all aligned windows of a clip and as many wrong ones, a third of the clip away."""
        win = self.config.sync_win_frames
        starts = torch.arange(batch["y"].shape[1] - win + 1, device=batch["y"].device)
        speech, mouth = cut_pairs(batch["speech"], batch["y"], torch.zeros_like(starts), starts, win)
        wrong = speech.roll(max(1, len(starts) // 3), dims=0)
        cosine = torch.cat([self.model(speech, mouth), self.model(wrong, mouth)])
        return float(sync_loss(cosine, (torch.arange(len(cosine), device=cosine.device) < len(starts)).float()))

    def validation_media(self, *, step: int) -> list[Media]:
        if self._curve is None:
            return []
        curve, self._curve = self._curve, None
        shifts = torch.arange(-MAX_SHIFT, MAX_SHIFT + 1)
        title = f"aligned above shifted by {NEAR_SHIFT} or more: {curve.accuracy():.3f}"
        picture = line_plot(
            shifts.numpy(), {"cosine": curve.mean_score().numpy()}, title=title, x="speech later by frames"
        )
        return [Media("sync_curve", "image", picture)]
