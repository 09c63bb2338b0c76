"""Run under torchrun by the tests: trains the toy task and writes what each rank ends with."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tasks.trainer import train
from tests.support.toy_task import ToyConfig, ToyGanTask
from utils.commons import distributed
from utils.commons.runtime import Runtime


def main(folder: Path, max_updates: int) -> None:
    config = ToyConfig(max_updates=max_updates, val_check_interval=4, num_sanity_val_steps=1, sync_gate=0.0)
    runtime = Runtime.create("cpu", seed=config.seed, amp="off")
    kept: list[ToyGanTask] = []

    class KeptTask(ToyGanTask):
        def __init__(self, config: ToyConfig) -> None:
            torch.manual_seed(runtime.rank)  # ranks must agree even if their weights begin differently
            super().__init__(config)
            kept.append(self)

    train(KeptTask, config, folder / "exp", runtime=runtime)
    task = kept[0]
    tensors = {name: tensor.contiguous() for name, tensor in task.model.state_dict().items()}
    tensors["seen_indices"] = torch.stack(task.seen_indices) if task.seen_indices else torch.zeros(0)
    tensors["gate"] = torch.tensor(float(task.state_vars["gate"]))
    save_file(tensors, folder / f"rank{runtime.rank}.safetensors")
    distributed.shut_down()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
