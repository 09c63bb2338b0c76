"""Small tasks for tests of the trainer: a regression, and a pair of networks that play against each other."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.base_task import Batch, BatchDataset, Media, OptimizerSpec, Task, TaskConfig
from tasks.sampling import batch_indices
from utils.commons.runtime import seeded_generator


class ToyConfig(TaskConfig):
    """Keys of the toy tasks."""

    hidden_size: int = 8
    batch_size: int = 4
    nan_at_step: int = -1
    nan_weight_at_step: int = -1
    forget_weight: bool = False
    sync_gate: float = 1e9
    """Validation loss below which the gate opens."""
    speakers: list[int] = [0]
    valid_monitor_key: str = "val_loss"
    device: str = "cpu"
    amp: str = "off"  # type: ignore[assignment]


class ToyDataset(BatchDataset):
    def __init__(self, config: ToyConfig, length: int, rank: int = 0, world_size: int = 1) -> None:
        self.config, self.length, self.rank, self.world_size = config, length, rank, world_size
        generator = seeded_generator(1)
        self.x = torch.randn(32, 3, generator=generator)
        self.y = self.x @ torch.randn(3, 1, generator=generator)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, step: int) -> Batch:
        chosen = batch_indices(len(self.x), self.config.batch_size, step, self.config.seed, self.rank, self.world_size)
        return {"x": self.x[chosen], "y": self.y[chosen], "index": chosen}


class ToyTask(Task):
    config_cls: ClassVar[type[TaskConfig]] = ToyConfig
    config: ToyConfig
    model: nn.ModuleDict

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.model = nn.ModuleDict(
            {
                "net": nn.Sequential(
                    nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 1)
                )
            }
        )
        self.state_vars = {"gate": False, "seen": 0}
        self.seen_indices: list[Tensor] = []
        self.validated_at: list[int] = []

    def optimizers(self) -> dict[str, OptimizerSpec]:
        groups = [{"params": list(self.model.parameters()), "lr": self.config.lr}]
        return {"net": OptimizerSpec(groups, schedule=lambda step, progress: 1 - 0.5 * progress, clip_grad_norm=1.0)}

    def train_dataset(self, *, rank: int, world_size: int) -> BatchDataset:
        return ToyDataset(self.config, 0, rank, world_size)

    def val_dataset(self) -> BatchDataset:
        return ToyDataset(self.config, 3)

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        self.state_vars["seen"] += 1
        self.seen_indices.append(batch["index"])
        noisy = batch["x"] + 0.01 * torch.randn_like(batch["x"])
        loss = (self.model["net"](noisy) - batch["y"]).square().mean()
        if step == self.config.nan_at_step:
            loss = loss * float("nan")
        if step == self.config.nan_weight_at_step:  # finite loss, infinite gradient
            loss = loss + torch.sqrt(next(self.model.parameters()).sum() * 0)
        return {"mse": loss, "size": sum(p.square().sum() for p in self.model["net"].parameters())}

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        return {"mse": 1.0} if self.config.forget_weight else {"mse": 1.0, "size": 1e-3}

    def validation_step(self, batch: Batch, *, step: int) -> dict[str, float]:
        torch.rand(100)  # must not disturb training
        return {"val_loss": float((self.model["net"](batch["x"]) - batch["y"]).square().mean())}

    def validation_end(self, metrics) -> None:  # type: ignore[no-untyped-def]
        self.validated_at.append(len(self.seen_indices))
        self.state_vars["gate"] = metrics.get("val_loss", 0.0) < self.config.sync_gate


class ToyGanTask(ToyTask):
    """Two optimizers; the discriminator rests on odd steps."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.model["disc"] = nn.Sequential(nn.Linear(1, 4), nn.LeakyReLU(), nn.Linear(4, 1))

    def optimizers(self) -> dict[str, OptimizerSpec]:
        generator = [{"params": list(self.model["net"].parameters()), "lr": self.config.lr}]
        discriminator = [{"params": list(self.model["disc"].parameters()), "lr": self.config.lr / 2}]
        return {
            "generator": OptimizerSpec(generator, kind="adamw", weight_decay=0.01),
            "discriminator": OptimizerSpec(discriminator, kind="rmsprop"),
        }

    def training_step(self, batch: Batch, *, step: int, optimizer: str) -> dict[str, Tensor]:
        self.seen_indices.append(batch["index"])
        fake = self.model["net"](batch["x"])
        if optimizer == "generator":
            return {"mse": (fake - batch["y"]).square().mean(), "adv": (self.model["disc"](fake) - 1).square().mean()}
        if step % 2:
            return {}
        real, made = self.model["disc"](batch["y"]), self.model["disc"](fake.detach())
        return {"real": (real - 1).square().mean(), "fake": made.square().mean()}

    def loss_weights(self, *, step: int, progress: float, optimizer: str) -> dict[str, float]:
        return {"mse": 1.0, "adv": 0.1} if optimizer == "generator" else {"real": 1.0, "fake": 1.0}


class ToyMediaTask(ToyTask):
    """Shows one thing of each kind."""

    def validation_media(self, *, step: int) -> list[Media]:
        film = torch.zeros(10, 16, 16, 3)
        sound = torch.zeros(1600).numpy()
        return [
            Media("picture", "image", torch.rand(8, 8, 3)),
            Media("sound", "audio", torch.zeros(1600)),
            Media("film/talking", "video", film, audio=sound),
        ]
