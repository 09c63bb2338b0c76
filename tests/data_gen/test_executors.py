"""Clips are worked on by the executor asked for, and none is lost."""

from __future__ import annotations

import importlib.util
import os

import pytest

from data_gen.corpus.executors import run_all
from utils.commons.schema import ConfigError

HAS_RAY = importlib.util.find_spec("ray") is not None


def _square(number: int) -> tuple[int, int, str]:
    return number, number * number, os.environ.get("GENEFACE_ROOT", "")


@pytest.mark.parametrize(
    "executor",
    ["joblib", pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.skipif(not HAS_RAY, reason="needs Ray")])],
)
def test_every_item_has_its_result_and_workers_know_the_root(executor: str) -> None:
    found = list(run_all(_square, range(20), executor=executor, num_workers=1))  # type: ignore[arg-type]
    assert sorted(item[:2] for item in found) == [(n, n * n) for n in range(20)]
    assert {item[2] for item in found} == {os.environ["GENEFACE_ROOT"]}


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_a_missing_ray_is_named_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match=r"needs Ray: pip install -r requirements-extra\.txt"):
        next(run_all(_square, [1], executor="ray"))
