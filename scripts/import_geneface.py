"""Bring a released GeneFace along.

python scripts/import_geneface.py <release folder or zip> [more ...] [--out checkpoints] [--steps May/postnet=6000]
python scripts/import_geneface.py --dataset trainval_dataset.npy --video_id May
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.commons.cli import run_main
from utils.commons.schema import ConfigError
from utils.data import paths


def main(arguments: Sequence[str]) -> None:
    options = _parse(arguments)
    from modules.importer.release import import_release  # loads torch: errors in the arguments come first

    out = options.out or paths.work_root() / "checkpoints"
    report = import_release(options.release, out, steps=_steps(options.steps), overwrite=options.overwrite)
    for title, lines in (("imported", report.taken), ("left", report.left), ("note", report.notes)):
        for line in lines:
            print(f"{title}: {line}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python scripts/import_geneface.py", description="Import a GeneFace release.")
    parser.add_argument("release", nargs="+", type=Path, help="folder or zip with <owner>/<experiment>/*.ckpt")
    parser.add_argument("--out", type=Path, help="folder of experiments (default: checkpoints)")
    parser.add_argument("--steps", action="append", default=[], help="checkpoint to take, such as May/postnet=6000")
    parser.add_argument("--overwrite", action="store_true", help="replace experiments of the same names")
    return parser.parse_args(arguments)


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
