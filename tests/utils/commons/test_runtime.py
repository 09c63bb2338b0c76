from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from utils.commons import runtime as runtime_module
from utils.commons.runtime import Runtime, choose_amp, mix_seed, pick_device, seeded_generator
from utils.commons.schema import ConfigError

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_step_draws_the_same_numbers_whenever_it_is_run() -> None:
    runtime = Runtime(CPU, seed=1)
    runtime.seed_step(3)
    first = draw()
    draw()
    runtime.seed_step(3)
    assert draw() == first


@pytest.mark.parametrize("other", [(1, 4, 0), (2, 3, 0), (1, 3, 1)])
def test_seed_step_and_rank_each_change_the_numbers(other: tuple[int, int, int]) -> None:
    drawn = []
    for seed, step, rank in ((1, 3, 0), other):
        Runtime(CPU, seed=seed, rank=rank, world_size=2).seed_step(step)
        drawn.append(draw())
    assert all(a != b for a, b in zip(*drawn, strict=True))


def test_a_fork_leaves_all_generators_as_they_were() -> None:
    runtime = Runtime(CPU)
    runtime.seed_step(0)
    expected = draw()
    runtime.seed_step(0)
    with runtime.forked_rng(Runtime.VALIDATION):
        draw()
    assert draw() == expected


def test_generators_are_a_function_of_every_salt() -> None:
    def first(*key: int) -> float:
        return float(torch.rand((), generator=seeded_generator(*key)))

    assert first(1, 2, 3) == first(1, 2, 3)
    assert len({first(1, 2, 3), first(1, 3, 2), first(1, 2), first(1, 23), first(12, 3)}) == 5
    runtime = Runtime(CPU, seed=5, rank=1, world_size=2)
    assert float(torch.rand((), generator=runtime.generator(7, 8))) == first(5, 7, 1, 8)


def test_mixed_seeds_are_stable_across_versions() -> None:
    assert mix_seed(9999, 0, 0) == mix_seed(9999, 0, 0)
    assert 0 <= mix_seed(9999, -2, 3) < 2**63


def test_creating_a_runtime_draws_no_numbers() -> None:
    random.seed(0)
    before = draw()
    random.seed(0)
    torch.manual_seed(0)
    np.random.seed(0)
    expected = draw()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    Runtime.create("cpu", amp="auto")
    assert draw() == expected
    assert before[0] == expected[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "unknown device 'gpu'; choose auto, cpu or cuda:N"),
        ("cuda:x", "unknown device"),
        ("cpu:1", "unknown device"),
    ],
)
def test_unknown_devices_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pick_device(name)


def test_an_absent_gpu_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device 'cuda:64' was asked for, but torch .* sees \d+ GPU"):
        pick_device("cuda:64")


@pytest.mark.parametrize(("fast", "choice"), [(2.0, "bf16"), (1.0, "off")])
def test_bf16_is_used_on_a_cpu_only_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, fast: float, choice: str
) -> None:
    monkeypatch.setattr(runtime_module, "_time_linear", lambda dtype: 1.0 if dtype else fast)
    assert choose_amp("auto", CPU) == choice


def test_impossible_precisions_are_refused() -> None:
    with pytest.raises(ConfigError, match="amp=fp16 needs a GPU"):
        choose_amp("fp16", CPU)
    with pytest.raises(ConfigError, match="unknown amp 'half'"):
        choose_amp("half", CPU)


def test_autocast_has_the_chosen_precision() -> None:
    for amp, dtype in (("off", torch.float32), ("bf16", torch.bfloat16)):
        with Runtime(CPU, amp=amp).autocast():
            assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2)).dtype == dtype
