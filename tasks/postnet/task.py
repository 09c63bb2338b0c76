"""Adapt the generic model's motion to one person: adversarial, in sync, close to the person's own tracked motion."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from modules.audio2motion.model import Audio2MotionVAE
from modules.losses.motion import continuity_loss, masked_mse, sync_loss
from modules.optim.schedules import schedule
from modules.postnet.model import (
    LandmarkCritic,
    LandmarkCriticConfig,
    PostNet,
    PostNetConfig,
    lsgan_critic_loss,
    lsgan_generator_loss,
)
from modules.postnet.selection import opening_quantiles
from modules.pretrained import load_pretrained
from modules.syncnet.model import SyncNet
from modules.syncnet.pairs import MOUTH, cut_pairs
from tasks.base_task import BatchDataset, Media, OptimizerSpec, Task, TaskConfig
from tasks.postnet.dataset import PersonDataConfig, PersonTest, PostNetBatches, open_person
from tasks.postnet.person import PersonFitConfig, solve_person
from tasks.postnet.validation import SHARES, choose_share, figures_on_test, has_selection, masked_points
from utils.commons.runtime import seeded_generator
from utils.data import paths
from utils.data.clip_motion import SpeechKind, check_same_speech, speech_of_experiment
from utils.data.corpora import open_corpus
from utils.media.plots import line_plot
from utils.metrics.lipsync import lip_opening


class PostNetTaskConfig(TaskConfig, PostNetConfig, LandmarkCriticConfig, PersonDataConfig, PersonFitConfig):
    """All keys of a post-net run."""

    audio2motion_work_dir: str = "checkpoints/lrs3/lm3d_vae"
    """Experiment of the generic speech-to-landmark model."""
    corpus: str = "lrs3"
    """Corpus whose voices the critic and the sync expert listen to, or several joined by '+'; empty takes the person's
    own speech alone, and needs no corpus."""
    audio2motion_ckpt_steps: int = Field(0, ge=0)
    """Its checkpoint; 0 = newest."""
    syncnet_work_dir: str = ""
    """Experiment of the sync expert; empty trains without it."""
    syncnet_ckpt_steps: int = Field(0, ge=0)
    """Its checkpoint; 0 = newest."""
    postnet_lr: float = Field(1e-4, gt=0)
    """Learning rate of the generator."""
    postnet_disc_lr: float = Field(1e-4, gt=0)
    """Learning rate of the critic."""
    postnet_lambda_adv: float = Field(0.85, ge=0)
    """Weight of the critic's opinion."""
    postnet_lambda_sync: float = Field(0.1, ge=0)
    """Weight of the sync expert's opinion."""
    postnet_lambda_mse: float = Field(0.05, ge=0)
    """Weight of the squared error against the person's tracked motion."""
    postnet_lambda_lip: float = Field(0.0, ge=0)
    """Weight of the squared error of the mouth points alone."""
    postnet_lambda_continuity: float = Field(0.0, ge=0)
    """Weight of the squared error of the frame-to-frame change."""
    postnet_lr_schedule: Literal["constant", "cosine"] = "constant"
    """``cosine`` lets both learning rates fall to 0 over the training."""
    postnet_disc_start_steps: int = Field(0, ge=0)
    """The critic trains, and counts, from this update on."""
    postnet_temperature: float = Field(1.0, ge=0)
    """Temperature of the generic model while training."""
    infer_temperature: float = Field(0.0, ge=0)
    """Temperature of the generic model in validation and inference."""


class PostNetTask(Task):
    """Generator against critic; the experts are frozen. ``model`` holds ``generator`` and ``discriminator``."""

    config_cls = PostNetTaskConfig
    config: PostNetTaskConfig
    model: nn.ModuleDict

    def __init__(self, config: PostNetTaskConfig) -> None:
        super().__init__(config)
        person = open_person(config)
        self.generator, self.critic = PostNet(config), LandmarkCritic(config)
        self.model = nn.ModuleDict({"generator": self.generator, "discriminator": self.critic})
        self._opening: dict[str, Tensor] = {}
        work_dir = paths.under_work_root(config.audio2motion_work_dir)
        vae, _, _ = load_pretrained(Audio2MotionVAE, work_dir, ckpt_steps=config.audio2motion_ckpt_steps)
        self.vae, self.syncnet = vae, None
        if config.syncnet_work_dir:
            work_dir = paths.under_work_root(config.syncnet_work_dir)
            self.syncnet, _, _ = load_pretrained(SyncNet, work_dir, ckpt_steps=config.syncnet_ckpt_steps)
        self.neutral = torch.from_numpy(person.lm3d_neutral.reshape(-1).copy())
        self.habits = opening_quantiles(np.asarray(person.lm3d)[person.indices("train")])
        self.ridge = solve_person(self.generator, vae, person, config=config)

    @classmethod
    def resolve(cls, config: TaskConfig) -> TaskConfig:
        """Check that corpus, person and both experts share one kind of speech features, and note it."""
        assert isinstance(config, PostNetTaskConfig)
        person = open_person(config).manifest
        kinds = [SpeechKind(f"video {person.video_id}", person.speech_encoder, person.speech_dim)]
        if config.corpus:
            corpus = open_corpus(config, "train").manifest
            kinds.append(SpeechKind(f"corpus {corpus.name}", corpus.speech_encoder, corpus.speech_dim))
        for kind in kinds:
            check_same_speech(kind, SpeechKind("this configuration", config.speech_encoder, config.speech_dim))
            check_same_speech(kind, speech_of_experiment(config.audio2motion_work_dir))
            if config.syncnet_work_dir:
                check_same_speech(kind, speech_of_experiment(config.syncnet_work_dir))
        update: dict[str, object] = {"speech_encoder": person.speech_encoder, "speech_dim": person.speech_dim}
        if config.postnet != "net":  # solved before the first update
            update |= {"max_updates": 1, "postnet_lambda_adv": 0.0}
        return config.model_copy(update=update)

    def frozen(self) -> dict[str, nn.Module]:
        return {"audio2motion": self.vae} | ({"syncnet": self.syncnet} if self.syncnet is not None else {})

    def optimizers(self) -> dict[str, OptimizerSpec]:
        c = self.config
        rates = {"generator": c.postnet_lr, "discriminator": c.postnet_disc_lr}
        return {
            name: OptimizerSpec(
                groups=[{"params": list(self.model[name].parameters()), "lr": rate}],
                kind="rmsprop",
                schedule=schedule(c.postnet_lr_schedule, warmup_updates=c.warmup_updates),
                clip_grad_norm=c.clip_grad_norm,
            )
            for name, rate in rates.items()
        }

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        c, win = self.config, self.syncnet.config.sync_win_frames if self.syncnet is not None else 0
        return PostNetBatches(c, sync_win=win, num_steps=c.max_updates, seed=c.seed, rank=rank, ridge=self.ridge)

    def val_dataset(self) -> BatchDataset:
        return PersonTest(self.config, self.ridge)

    def training_step(self, batch: dict[str, Tensor], *, step: int, optimizer: str) -> dict[str, Tensor]:
        if optimizer == "generator":
            return self._generator_terms(batch, step)
        return self._critic_terms(batch) if self._adversarial(step) else {}

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        c = self.config
        if optimizer == "discriminator":
            return {"disc": 1.0} if self._adversarial(step) else {}
        weights = {"mse": c.postnet_lambda_mse, "lip": c.postnet_lambda_lip, "continuity": c.postnet_lambda_continuity}
        if self._adversarial(step):
            weights["adv"] = c.postnet_lambda_adv
        if self.syncnet is not None:
            weights["sync"] = c.postnet_lambda_sync
        return weights

    def _adversarial(self, step: int) -> bool:
        return self.config.postnet_lambda_adv > 0 and step >= self.config.postnet_disc_start_steps

    def _generic_motion(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the generic model's motion, mask and speech of corpus and person, joined along the batch."""
        speech, f0, mask = (torch.cat([batch[name], batch[f"p_{name}"]]) for name in ("speech", "f0", "y_mask"))
        with torch.no_grad():
            return self.vae.infer(speech, mask, f0=f0, temperature=self.config.postnet_temperature), mask, speech

    def _generator_terms(self, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        x, mask, speech = self._generic_motion(batch)
        num_corpus = len(batch["speech"])
        ridge = None
        if self.ridge is not None:
            foreign = batch["ridge"] if "ridge" in batch else self.generator.ridge(batch["speech"])
            ridge = torch.cat([foreign, batch["p_ridge"]])
        out = self.generator(x, mask, speech, ridge)
        if self.config.postnet != "net":  # nothing is learnt, but an update needs a gradient
            out = out + 0 * sum(parameter.sum() for parameter in self.generator.parameters())
        fake, pred = out[:num_corpus], out[num_corpus:]
        batch["fake"] = fake.detach()
        y, y_mask = batch["p_y"], batch["p_y_mask"]
        terms = {
            "mse": masked_mse(pred, y, y_mask),
            "lip": masked_mse(pred[..., MOUTH], y[..., MOUTH], y_mask),
            "continuity": continuity_loss(pred, y, y_mask),
        }
        if self._adversarial(step):
            terms["adv"] = lsgan_generator_loss(self.critic(self._windows(fake, batch["y_mask"])))
        if self.syncnet is not None:
            terms["sync"] = self._sync_loss(batch, fake)
        return terms

    def _critic_terms(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        fake, real = self._windows(batch["fake"], batch["y_mask"]), self._windows(batch["p_y"], batch["p_y_mask"])
        return {"disc": lsgan_critic_loss(self.critic(fake), self.critic(real))}

    def _windows(self, y: Tensor, mask: Tensor) -> Tensor:
        """Return all windows [N,W,204] of a batch that hold real frames only."""
        win = self.config.disc_win_frames
        windows = y.unfold(1, win, 1).transpose(2, 3)
        return windows[mask.unfold(1, win, 1).amin(-1) > 0]

    def _sync_loss(self, batch: dict[str, Tensor], fake: Tensor) -> Tensor:
        assert self.syncnet is not None
        if not len(batch["sync_items"]):
            return fake.sum() * 0
        win = self.syncnet.config.sync_win_frames
        cosine = self.syncnet(*cut_pairs(batch["speech"], fake, batch["sync_items"], batch["sync_starts"], win))
        return sync_loss(cosine, torch.ones_like(cosine))

    def validation_step(self, batch: dict[str, Tensor], *, step: int) -> dict[str, float]:
        mask, speech, ridge, neutral = batch["y_mask"], batch["speech"], batch.get("ridge"), self.neutral
        generator = seeded_generator(self.config.seed)
        temperature = self.config.infer_temperature
        x = self.vae.infer(speech, mask, f0=batch["f0"], temperature=temperature, generator=generator)
        base, full = self.generator.extremes(x, mask, speech, ridge)
        metrics: dict[str, float] = {}
        chosen = 1.0
        if has_selection(batch):
            shares = SHARES if self.config.postnet_auto_share and self.config.postnet == "net" else (1.0,)
            chosen, metrics = choose_share(
                lambda share: base + share * (full - base),
                batch,
                neutral=neutral,
                habits=self.habits,
                syncnet=self.syncnet,
                shares=shares,
            )
        if self.config.postnet_auto_share:
            self.generator.share.fill_(chosen)
        pred = base + chosen * (full - base)
        figures, before = (figures_on_test(motion, batch, neutral) for motion in (pred, x))
        self._opening = {
            name: torch.from_numpy(lip_opening(masked_points(motion, batch["eval_mask"], neutral)[0]))
            for name, motion in (("true", batch["y"]), ("postnet", pred), ("generic", x))
        }
        return {
            "val_loss": metrics.get("score", figures["lmd"]),
            **{f"select/{name}": value for name, value in metrics.items()},
            "share": chosen,
            **figures,
            "lip_corr_generic": before["lip_corr"],
            "lmd_generic": before["lmd"],
            "val_mse": masked_mse(pred, batch["y"], batch["eval_mask"]).item(),
        }

    def validation_media(self, *, step: int) -> list[Media]:
        if not self._opening:
            return []
        curves, self._opening = {name: curve[:250].numpy() for name, curve in self._opening.items()}, {}
        frames = list(range(len(curves["true"])))
        return [
            Media("lip_opening", "image", line_plot(frames, curves, title="inner-lip opening, test frames", x="frame"))
        ]
