"""A released GeneFace becomes experiments of ours: everything is read and checked before anything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from modules.importer.archive import ORIGINAL_CONFIG, ReleasedExperiment, open_release
from modules.importer.converters import Converted, Converter, Report
from utils.commons.checkpoint import model_path, save_model, saved_steps
from utils.commons.experiment import CONFIG_NAME, short
from utils.commons.schema import DataError
from utils.data.atomic import save_json

REPORT_NAME = "import_report.json"
_ORDER = ("syncnet", "vae", "postnet", "nerf", "torso")


def import_release(
    sources: Sequence[Path], out: Path, *, steps: Mapping[str, int] | None = None, overwrite: bool = False
) -> Report:
    """Write the experiments of releases below ``out``; nothing is written if anything is wrong.

    Args:
        sources: Folders or zips; together they are one release.
        out: The folder ``checkpoints``; it may be the source itself.
        steps: Checkpoint wanted, by ``<owner>/<name>``; else what the configuration advises, else the newest.
        overwrite: Replace experiments of the same names.

    Raises:
        FileNotFoundError: A source does not exist.
        DataError: A source is damaged, unsafe or unknown, or experiments of the same names exist.
    """
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".import.part", dir=out))
    try:
        found = [e for source in sources for e in open_release(source, scratch, steps=dict(steps or {}))]
        converter = Converter(out)
        for experiment in sorted(found, key=_order):
            converter.convert(experiment)
        if not converter.done:
            raise DataError("nothing was imported: " + "; ".join(converter.report.left))
        _refuse_existing(converter, overwrite=overwrite)
        for converted in converter.done.values():
            _write(scratch / "ready" / converted.exp_name, converted, converter.report)
        for exp_name in converter.done:
            _publish(scratch / "ready" / exp_name, out / exp_name)
        return converter.report
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if is_new and not any(out.iterdir()):
            out.rmdir()


def _order(experiment: ReleasedExperiment) -> tuple[int, str]:
    ranks = [rank for rank, part in enumerate(_ORDER) if part in experiment.name]
    return max(ranks, default=len(_ORDER)), experiment.title


def _refuse_existing(converter: Converter, *, overwrite: bool) -> None:
    there = [name for name in converter.done if saved_steps(converter.out / name)]
    if there and not overwrite:
        listed = ", ".join(short(converter.out / name) for name in there)
        raise DataError(f"{listed} exist already; move them away, or replace them with --overwrite")


def _write(folder: Path, converted: Converted, report: Report) -> None:
    folder.mkdir(parents=True)
    save_model(folder, converted.step, converted.tensors)
    text = yaml.safe_dump(converted.config, sort_keys=False, allow_unicode=True, width=120)
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")
    save_json(folder / REPORT_NAME, {"source": converted.source, "step": converted.step, **asdict(report)})


def _publish(ready: Path, target: Path) -> None:
    """Move an experiment to its place; the original's files there stay, its configuration under another name.

    The configuration comes last: without ours beside it, a model is not loaded.
    """
    target.mkdir(parents=True, exist_ok=True)
    config, original = target / CONFIG_NAME, target / ORIGINAL_CONFIG
    if config.exists() and not original.exists() and any(target.glob("*.ckpt")):
        os.replace(config, original)
    for step in saved_steps(target):
        model_path(target, step).unlink()
    for path in sorted(ready.iterdir(), key=lambda path: path.name == CONFIG_NAME):
        os.replace(path, target / path.name)
