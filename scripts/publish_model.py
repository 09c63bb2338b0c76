"""Copy an experiment's best network in half precision, with the configuration that rebuilds it and nothing else.

usage: python scripts/publish_model.py <experiment folder> <new folder>
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from utils.commons.checkpoint import load_best, load_model, model_path  # noqa: E402
from utils.commons.cli import run_main  # noqa: E402
from utils.commons.experiment import load_experiment_config  # noqa: E402
from utils.commons.schema import ConfigError  # noqa: E402
from utils.data.atomic import atomic_dir  # noqa: E402

_NOT_PUBLISHED = ("_work_dir", "binary_data_dir", "device", "num_workers", "num_threads", "corpus", "held_out_speakers")


def main(arguments: list[str]) -> None:
    """Publish one experiment."""
    if len(arguments) != 2:
        raise ConfigError("usage: python scripts/publish_model.py <experiment folder> <new folder>")
    source, target = (Path(argument) for argument in arguments)
    best = load_best(source)
    tensors, step = load_model(source, best.step if best else 0)
    values = {key: value for key, value in load_experiment_config(source).items() if not key.endswith(_NOT_PUBLISHED)}
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    with atomic_dir(target) as folder:
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        save_file(half, model_path(folder, step), metadata={"format": "pt", "step": str(step)})


if __name__ == "__main__":
    run_main(main)
