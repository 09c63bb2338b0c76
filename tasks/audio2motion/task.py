"""Train the generic speech-to-landmark model on a corpus of talking clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from modules.audio2motion.config import Audio2MotionConfig
from modules.audio2motion.figures import motion_figures, to_points
from modules.audio2motion.model import Audio2MotionVAE
from modules.losses.motion import continuity_loss, kl_to_normal, masked_mse, sync_loss
from modules.optim.schedules import schedule
from modules.pretrained import load_pretrained, start_from
from modules.syncnet.model import SyncNet
from modules.syncnet.pairs import MOUTH, cut_pairs
from tasks.audio2motion.dataset import MotionCrops, MotionDataConfig, WholeClips
from tasks.base_task import BatchDataset, Media, OptimizerSpec, Task, TaskConfig
from utils.commons.runtime import seeded_generator
from utils.data import paths
from utils.data.clip_motion import SpeechKind, check_same_speech, speech_of_experiment
from utils.data.corpora import open_corpus
from utils.media.plots import line_plot
from utils.metrics.lipsync import lip_opening


class Audio2MotionTaskConfig(TaskConfig, Audio2MotionConfig, MotionDataConfig):
    """All keys of an audio-to-motion run."""

    init_work_dir: str = ""
    """Experiment whose weights training starts from, such as ``generic/lm3d_vae``; empty starts anew."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""
    lr_schedule: Literal["constant", "cosine", "exponential"] = "exponential"
    """``cosine`` falls to 0 over the training, ``exponential`` by a tenth in 250,000 updates."""
    lambda_mse: float = Field(1.0, ge=0)
    """Weight of the squared error of the landmarks."""
    lambda_lip: float = Field(0.0, ge=0)
    """Weight of the squared error of the mouth points alone."""
    lambda_continuity: float = Field(3.0, ge=0)
    """Weight of the squared error of the frame-to-frame change."""
    lambda_kl: float = Field(0.4, ge=0)
    """Weight of the divergence of posterior and prior."""
    kl_ramp: float = Field(0.0, ge=0, le=1)
    """Share of the training over which the weight of the divergence rises from 0."""
    lambda_prior: float = Field(0.0, ge=0)
    """Weight of the squared error of the most likely motion of the prior; trains what inference uses."""
    lambda_sync: float = Field(0.01, ge=0)
    """Weight of the sync expert's loss once its gate is open."""
    sync_gate: float = Field(0.75, ge=0)
    """The gate opens when the expert's loss on validation clips is at most this."""
    sync_gate_progress: float = Field(1.0, ge=0, le=1)
    """The gate opens at this share of the training at the latest; 1 waits for the validation."""
    syncnet_work_dir: str = ""
    """Experiment of the sync expert; empty trains without it."""
    syncnet_ckpt_steps: int = Field(0, ge=0)
    """Checkpoint of the sync expert; 0 = newest."""


class Audio2MotionTask(Task):
    """Reconstruction, continuity, divergence from the prior and, once the gate is open, the sync expert."""

    config_cls = Audio2MotionTaskConfig
    config: Audio2MotionTaskConfig
    model: Audio2MotionVAE

    def __init__(self, config: Audio2MotionTaskConfig) -> None:
        super().__init__(config)
        self.model = Audio2MotionVAE(config)
        if config.init_work_dir:
            start_from(self.model, paths.under_work_root(config.init_work_dir))
        self.state_vars = {"sync_open": False}
        self.syncnet: SyncNet | None = None
        self._opening: dict[str, Tensor] = {}
        if config.syncnet_work_dir:
            work_dir = paths.under_work_root(config.syncnet_work_dir)
            net, _, _ = load_pretrained(SyncNet, work_dir, ckpt_steps=config.syncnet_ckpt_steps)
            assert isinstance(net, SyncNet)
            self.syncnet = net

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Take encoder and width of the speech features from the corpus; check the sync expert's against them."""
        assert isinstance(config, Audio2MotionTaskConfig)
        manifest = open_corpus(config, "train").manifest
        corpus = SpeechKind(f"corpus {manifest.name}", manifest.speech_encoder, manifest.speech_dim)
        check_same_speech(corpus, SpeechKind("this configuration", config.speech_encoder, config.speech_dim))
        if config.syncnet_work_dir:
            check_same_speech(corpus, speech_of_experiment(config.syncnet_work_dir))
        return config.model_copy(update={"speech_encoder": corpus.encoder, "speech_dim": corpus.dim})

    def frozen(self) -> dict[str, nn.Module]:
        return {"syncnet": self.syncnet} if self.syncnet is not None else {}

    def optimizers(self) -> dict[str, OptimizerSpec]:
        c = self.config
        return {
            "main": OptimizerSpec(
                groups=[{"params": list(self.model.parameters()), "lr": c.lr}],
                kind="adamw",
                weight_decay=c.weight_decay,
                schedule=schedule(c.lr_schedule, warmup_updates=c.warmup_updates),
                clip_grad_norm=c.clip_grad_norm,
            )
        }

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        c, win = self.config, self.syncnet.config.sync_win_frames if self.syncnet is not None else 0
        return MotionCrops(c, sync_win=win, num_steps=c.max_updates, seed=c.seed, rank=rank)

    def val_dataset(self) -> BatchDataset:
        return WholeClips(self.config)

    def before_step(self, step: int, progress: float) -> None:
        if self.syncnet is not None and progress >= self.config.sync_gate_progress:
            self.state_vars["sync_open"] = True

    def training_step(self, batch: dict[str, Tensor], *, step: int, optimizer: str) -> dict[str, Tensor]:
        c, mask = self.config, batch["y_mask"]
        y = batch["y"] * mask[..., None]
        speech = batch["speech"] * mask.repeat_interleave(2, dim=1)[..., None]
        out = self.model(speech, y, mask, f0=batch["f0"])
        terms = {
            "mse": masked_mse(out.recon, y, mask),
            "continuity": continuity_loss(out.recon, y, mask),
            "kl": kl_to_normal(out.z, out.m_q, out.logs_q, out.z_p, out.mask4),
        }
        if c.lambda_lip:
            terms["lip"] = masked_mse(out.recon[..., MOUTH], y[..., MOUTH], mask)
        if c.lambda_prior:
            terms["prior"] = self._prior_loss(out.g, torch.zeros_like(out.z_p), y, mask)
        if self.state_vars["sync_open"] and self.syncnet is not None:
            sound, mouth = cut_pairs(
                batch["clean_speech"],
                out.recon,
                batch["sync_items"],
                batch["sync_starts"],
                self.syncnet.config.sync_win_frames,
            )
            terms["sync"] = self._sync_loss(sound, mouth)
        return terms

    def _prior_loss(self, g: Tensor, z_p: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        pred = self.model.decode_prior(g, z_p, mask)
        return (
            masked_mse(pred, y, mask)
            + 3 * continuity_loss(pred, y, mask)
            + 2 * masked_mse(pred[..., MOUTH], y[..., MOUTH], mask)
        )

    def _sync_loss(self, sound: Tensor, mouth: Tensor) -> Tensor:
        assert self.syncnet is not None
        if not len(sound):
            return mouth.sum()
        cosine = self.syncnet(sound, mouth)
        return sync_loss(cosine, torch.ones_like(cosine))

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        c = self.config
        ramp = min(1.0, progress / c.kl_ramp) if c.kl_ramp else 1.0
        weights = {"mse": c.lambda_mse, "continuity": c.lambda_continuity, "kl": c.lambda_kl * ramp}
        if c.lambda_lip:
            weights["lip"] = c.lambda_lip
        if c.lambda_prior:
            weights["prior"] = c.lambda_prior
        if self.state_vars["sync_open"] and self.syncnet is not None:
            weights["sync"] = c.lambda_sync
        return weights

    def validation_step(self, batch: dict[str, Tensor], *, step: int) -> dict[str, float]:
        frames = int(batch["y_mask"].sum())
        true = to_points(batch["y"][0, :frames], batch["neutral"][0])
        speech, mask, f0 = batch["speech"], batch["y_mask"], batch["f0"]
        metrics: dict[str, float] = {}
        for name, temperature in (("", 0.0), ("_t1", 1.0)):
            generator = seeded_generator(self.config.seed, int(batch["index"][0]))
            pred = self.model.infer(speech, mask, f0=f0, temperature=temperature, generator=generator)
            points = to_points(pred[0, :frames], batch["neutral"][0])
            metrics |= {key + name: value for key, value in motion_figures(points, true).items()}
            if not temperature:
                metrics["val_loss"] = float(masked_mse(pred, batch["y"], mask))
                metrics |= self._sync_metric(batch, pred, frames)
                if not int(batch["index"][0]):
                    self._opening = {
                        "true": torch.from_numpy(lip_opening(true)),
                        "predicted": torch.from_numpy(lip_opening(points)),
                    }
        return metrics

    def _sync_metric(self, batch: dict[str, Tensor], pred: Tensor, frames: int) -> dict[str, float]:
        if self.syncnet is None:
            return {}
        win = self.syncnet.config.sync_win_frames
        if frames < win:
            return {"val_sync": 1.0}
        starts = torch.arange(frames - win + 1, device=pred.device)
        return {
            "val_sync": float(self._sync_loss(*cut_pairs(batch["speech"], pred, torch.zeros_like(starts), starts, win)))
        }

    def validation_end(self, metrics: Mapping[str, float]) -> None:
        if self.syncnet is not None and metrics.get("val_sync", float("inf")) <= self.config.sync_gate:
            self.state_vars["sync_open"] = True

    def validation_media(self, *, step: int) -> list[Media]:
        if not self._opening:
            return []
        curves, self._opening = {name: curve.numpy() for name, curve in self._opening.items()}, {}
        frames = range(len(next(iter(curves.values()))))
        return [Media("lip_opening", "image", line_plot(list(frames), curves, title="inner-lip opening", x="frame"))]
