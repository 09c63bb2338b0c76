from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from modules.pretrained import load_pretrained
from utils.commons.checkpoint import save_checkpoint
from utils.commons.experiment import save_config
from utils.commons.schema import Config, DataError


class NetConfig(Config):
    hidden_size: int = 2


class Net(nn.Linear):
    config_cls: ClassVar[type[Config]] = NetConfig

    def __init__(self, config: NetConfig) -> None:
        super().__init__(1, config.hidden_size)


class ExperimentConfig(NetConfig):
    lr: float = 1.0


def experiment(folder: Path, *, prefix: str = "", hidden_size: int = 3) -> dict[str, torch.Tensor]:
    tensors = Net(NetConfig(hidden_size=3)).state_dict()
    save_config(folder, ExperimentConfig(hidden_size=hidden_size))
    named = {prefix + name: tensor for name, tensor in tensors.items()}
    save_checkpoint(folder, 40, {**named, "other.weight": torch.zeros(1)} if prefix else named, {}, 1)
    return tensors


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_trained_network_comes_back_frozen(tmp_path: Path, prefix: str) -> None:
    expected = experiment(tmp_path, prefix=prefix)
    network, values, step = load_pretrained(Net, tmp_path, child=prefix.rstrip("."))
    torch.testing.assert_close(network.state_dict(), expected, rtol=0, atol=0)
    assert (step, values["lr"], network.training) == (40, 1.0, False)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_missing_upstream_experiment_tells_how_to_train_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no experiment in checkpoints/lrs3/syncnet; .*train_syncnet\.sh"):
        load_pretrained(Net, tmp_path / "checkpoints/lrs3/syncnet")


def test_an_experiment_without_checkpoint_tells_how_to_train_it(tmp_path: Path) -> None:
    save_config(tmp_path / "checkpoints/May/postnet", ExperimentConfig())
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in checkpoints/May/postnet; .*train_postnet\.sh May"):
        load_pretrained(Net, tmp_path / "checkpoints/May/postnet")


def test_a_network_of_another_name_or_shape_is_refused(tmp_path: Path) -> None:
    experiment(tmp_path / "a", prefix="model.")
    with pytest.raises(DataError, match="holds no network 'generator'"):
        load_pretrained(Net, tmp_path / "a", child="generator")
    experiment(tmp_path / "b", hidden_size=5)
    with pytest.raises(DataError, match=r"belongs to another model .*weight \[3, 1\] instead of \[5, 1\]"):
        load_pretrained(Net, tmp_path / "b")


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    experiment(tmp_path)
    (tmp_path / "config.yaml").write_text("hidden_size: many\n")
    with pytest.raises(DataError, match=r"config\.yaml that Net cannot read: hidden_size"):
        load_pretrained(Net, tmp_path)
    (tmp_path / "config.yaml").write_text("[")
    with pytest.raises(DataError, match=r"config\.yaml is damaged"):
        load_pretrained(Net, tmp_path)
