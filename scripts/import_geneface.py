"""Bring a released GeneFace along: its checkpoints, or the dataset of a person.

python scripts/import_geneface.py <release folder or zip> [more ...] [--out checkpoints] [--steps May/postnet=6000]
python scripts/import_geneface.py --dataset trainval_dataset.npy --video_id May [--pictures data/processed/videos/May]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.commons.cli import run_main
from utils.commons.experiment import short
from utils.commons.schema import ConfigError
from utils.data import paths


def main(arguments: Sequence[str]) -> None:
    """Import what is named and print what became of it."""
    options = _parse(arguments)
    if options.dataset is not None:
        _import_dataset(options)
    if options.release:
        _import_release(options)


def _import_dataset(options: argparse.Namespace) -> None:
    from modules.importer.dataset import import_dataset

    video_id = paths.check_id(options.video_id or options.dataset.resolve().parent.name)
    notes = import_dataset(options.dataset, video_id, pictures=options.pictures, overwrite=options.overwrite)
    print(f"imported: {short(paths.binary_video(video_id))} from {options.dataset}")
    for note in notes:
        print(f"note: {note}")


def _import_release(options: argparse.Namespace) -> None:
    from modules.importer.release import import_release  # loads torch: errors in the arguments come first

    out = options.out or paths.work_root() / "checkpoints"
    report = import_release(options.release, out, steps=_steps(options.steps), overwrite=options.overwrite)
    for title, lines in (("imported", report.taken), ("left", report.left), ("note", report.notes)):
        for line in lines:
            print(f"{title}: {line}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python scripts/import_geneface.py", description="Import checkpoints or a dataset of GeneFace."
    )
    parser.add_argument("release", nargs="*", type=Path, help="folder or zip with <owner>/<experiment>/*.ckpt")
    parser.add_argument("--out", type=Path, help="folder of experiments (default: checkpoints)")
    parser.add_argument("--steps", action="append", default=[], help="checkpoint to take, such as May/postnet=6000")
    parser.add_argument("--dataset", type=Path, help="a person's trainval_dataset.npy")
    parser.add_argument("--video_id", default="", help="the person (default: the name of the dataset's folder)")
    parser.add_argument("--pictures", type=Path, help="the processed folder the dataset was made from, to train on it")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there under the same names")
    options = parser.parse_args(arguments)
    if not options.release and options.dataset is None:
        raise ConfigError("name the folder or zip of a release, or --dataset trainval_dataset.npy; see --help")
    return options


def _steps(wishes: Sequence[str]) -> dict[str, int]:
    steps = {}
    for wish in wishes:
        name, equals, step = wish.partition("=")
        if not equals or not step.isdigit():
            raise ConfigError(f"--steps {wish!r} must be <owner>/<experiment>=<step>, such as May/postnet=6000")
        steps[name] = int(step)
    return steps


if __name__ == "__main__":
    run_main(main)
