"""One update of the parameters: terms, weighted sum, backward, unscale, clip, step, for each optimizer in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tasks.base_task import Batch, OptimizerSpec, Task
from utils.commons import distributed
from utils.commons.runtime import Runtime
from utils.commons.schema import TrainingError

_SMALLEST_SCALE = 2.0**-10


class NotFiniteError(TrainingError):
    """A loss term or a gradient is NaN or infinite; no parameter has moved."""


def build_optimizer(spec: OptimizerSpec) -> torch.optim.Optimizer:
    """Return the optimizer a task asked for."""
    groups = [{**group, "params": list(group["params"])} for group in spec.groups]
    if spec.kind == "rmsprop":
        return torch.optim.RMSprop(groups, eps=spec.eps, weight_decay=spec.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.kind]
    # one pass over memory instead of seven: 2 instead of 16 ms a step for a head's planes
    return kind(groups, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay, fused=True)


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float], optimizer: str) -> Tensor | None:
    """Return the sum of weight times term, or None if every weight is 0.

    Raises:
        ValueError: A term without a weight or a weight without a term.
    """
    if terms.keys() != weights.keys():
        lone_terms, lone_weights = sorted(terms.keys() - weights.keys()), sorted(weights.keys() - terms.keys())
        raise ValueError(
            f"optimizer {optimizer!r}: every loss term needs one weight; terms without weight: {lone_terms}, "
            f"weights without term: {lone_weights}"
        )
    parts = [terms[name].float() * weight for name, weight in weights.items() if weight]
    return torch.stack(parts).sum() if parts else None


class Updater:
    """The optimizers of a task and the loss scaler."""

    def __init__(self, task: Task, runtime: Runtime) -> None:
        self.task, self.runtime = task, runtime
        self.specs = task.optimizers()
        self.optimizers = {name: build_optimizer(spec) for name, spec in self.specs.items()}
        self.base_rates = {name: [g["lr"] for g in opt.param_groups] for name, opt in self.optimizers.items()}
        self.scaler = runtime.scaler()
        self._owned = {name: self._parameters(opt) for name, opt in self.optimizers.items()}

    @staticmethod
    def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
        return [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def update(self, batches: Sequence[Batch], *, step: int, progress: float) -> dict[str, float]:
        """Move the parameters once and return what to log; ``batches`` are accumulated.

        Raises:
            NotFiniteError: Before the parameters of the optimizer concerned have moved.
        """
        scalars: dict[str, float] = {}
        stepped = False
        for name in self.optimizers:
            found = self._update_one(name, batches, step, progress)
            stepped |= bool(found)
            for tag, value in found.items():
                scalars[f"{tag}_{name}" if tag in scalars else tag] = value
        if stepped:
            self._update_scaler(step)
        return scalars

    def _update_one(self, name: str, batches: Sequence[Batch], step: int, progress: float) -> dict[str, float]:
        self._select(name)
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        scalars: dict[str, float] = {}
        for batch in batches:
            for tag, value in self._backward(name, batch, step, progress, share=1 / len(batches)).items():
                scalars[tag] = scalars.get(tag, 0.0) + value / len(batches)
        if scalars:
            distributed.average_gradients(self._owned[name])
            self.scaler.unscale_(optimizer)
            scalars[f"grad_norm/{name}"] = self._clip(name, step)
            factor = self.specs[name].schedule(step, progress)
            for index, (group, base) in enumerate(zip(optimizer.param_groups, self.base_rates[name], strict=True)):
                group["lr"] = base * factor
                scalars[f"lr/{name}_{index}"] = base * factor
            self.scaler.step(optimizer)
        return scalars

    def _select(self, name: str) -> None:
        """Let gradients flow into the parameters of one optimizer and not of the others."""
        if len(self.optimizers) > 1:
            for parameters in self._owned.values():
                for parameter in parameters:
                    parameter.requires_grad_(False)
            for parameter in self._owned[name]:
                parameter.requires_grad_(True)

    def _backward(self, name: str, batch: Batch, step: int, progress: float, share: float) -> dict[str, float]:
        with self.runtime.autocast():
            terms = self.task.training_step(batch, step=step, optimizer=name)
        if not terms:
            return {}
        weights = self.task.loss_weights(step=step, progress=progress, optimizer=name)
        total = weighted_sum(terms, weights, name)
        if total is None:
            return {}
        values = distributed.mean(torch.stack([terms[n].detach().float() for n in terms] + [total.detach()])).tolist()
        for term, value in zip(terms, values, strict=False):
            if weights[term] and not math.isfinite(value):
                raise NotFiniteError(f"loss {term!r} is not finite at step {step} ({value})")
        self.scaler.scale(total * share).backward()
        return {f"tr/{term}": value for term, value in zip([*terms, f"loss_{name}"], values, strict=True)}

    def _clip(self, name: str, step: int) -> float:
        parameters = [parameter for parameter in self._owned[name] if parameter.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not torch.isfinite(norm):
            if self.scaler.is_enabled():  # fp16: the scaler leaves this step out and lowers the scale
                return float(norm)
            raise NotFiniteError(
                f"gradient of optimizer {name!r} is not finite at step {step}, first in {self._culprit()}"
            )
        limit = self.specs[name].clip_grad_norm
        if limit > 0:
            nn.utils.clip_grads_with_norm_(parameters, limit, norm)
        return float(norm)

    def _culprit(self) -> str:
        for name, parameter in self.task.model.named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                return f"{name!r}"
        return "a parameter outside the model"

    def _update_scaler(self, step: int) -> None:
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < _SMALLEST_SCALE:
            raise NotFiniteError(f"gradients overflow fp16 at every scale at step {step}; use amp=bf16 or off")

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain numbers only."""
        states = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return {"optimizers": states, "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
