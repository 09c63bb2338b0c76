"""The few collective operations training needs; each does nothing in a single process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


def init_process_group(device: torch.device) -> tuple[int, int]:
    """Join the group that torchrun described in the environment; return rank and world size (0, 1 without torchrun)."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world_size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank_and_size() -> tuple[int, int]:
    """Return this process's rank and the number of processes; 0 and 1 without a group."""
    return (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)


def send_bytes(array: np.ndarray, *, to: int) -> None:
    """Send an array of uint8 to another rank, which must ask for it."""
    dist.send(torch.from_numpy(array).to(_device()), dst=to)


def receive_bytes(shape: tuple[int, ...], *, source: int) -> np.ndarray:
    """Return an array of uint8 that another rank sends."""
    buffer = torch.empty(shape, dtype=torch.uint8, device=_device())
    dist.recv(buffer, src=source)
    array: np.ndarray = buffer.cpu().numpy()
    return array


def _device() -> torch.device:
    """Return where this group's messages must lie."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def barrier() -> None:
    if is_distributed():
        dist.barrier()


def shut_down() -> None:
    """Leave the group, if any, together: gloo aborts a process whose peer is gone while it still takes leave."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Overwrite the tensors of every rank by those of rank 0."""
    if is_distributed():
        with torch.no_grad():
            for tensor in tensors:
                dist.broadcast(tensor.data, src=0)


def broadcast_numbers(values: Sequence[float], device: torch.device) -> list[float]:
    """Return rank 0's numbers on every rank."""
    if not is_distributed():
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(tensor, src=0)
    return tensor.tolist()


def any_rank(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is up on at least one rank."""
    if not is_distributed():
        return flag
    tensor = torch.tensor(int(flag), device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return bool(tensor.item())


def maximum(tensor: Tensor) -> None:
    """Replace a tensor by the largest values of all ranks, element by element."""
    if is_distributed():
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)


def mean(tensor: Tensor) -> Tensor:
    """Return the mean over the ranks; not finite if it is not on any."""
    if not is_distributed():
        return tensor
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace gradients by their mean over the ranks; one without gradient on all ranks keeps none."""
    if not is_distributed() or not parameters:
        return
    used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    parts = [(p.grad if p.grad is not None else torch.zeros_like(p)).detach().float().reshape(-1) for p in parameters]
    flat = torch.cat([used, *parts])
    dist.all_reduce(flat)
    used, averaged = flat[: len(parameters)], flat[len(parameters) :] / dist.get_world_size()
    for parameter, part, count in zip(
        parameters, averaged.split([p.numel() for p in parameters]), used.tolist(), strict=True
    ):
        if count:
            parameter.grad = part.view_as(parameter).to(parameter.dtype).clone()
