"""An evaluation as numbers, a Markdown table and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from inference.scoring import Row
from utils.data.atomic import atomic_path, save_json

COLUMNS = {
    "psnr": "psnr dB", "psnr_head": "head dB", "psnr_lips": "lips dB", "psnr_eyes": "eyes dB", "ssim": "ssim",
    "lmd": "lmd px", "lip_corr": "lip_corr", "lip_amplitude": "lip ampl.", "eye_corr": "eye_corr", "jitter": "jitter",
    "jitter_ratio": "jitter ratio", "speed_ratio": "speed ratio",
    "flicker_head": "flicker head", "flicker_torso": "flicker torso",
    "sync_lag": "sync_lag", "sync_r": "sync_r", "sync_conf": "sync_conf", "sync_conf_true": "true's",
    "sync_offset": "offset", "closure": "closure", "silence_leak": "sil. leak", "leak_ratio": "÷ own",
    "rest_opening": "rest",
    "over_open": "over-open", "artic_open": "artic open", "artic_close": "artic close", "artic_round": "artic round",
    "faces": "faces",
}  # fmt: skip
"""Figures in the order of the table, with the head of their column."""
_DIGITS = {
    "psnr": 2,
    "psnr_head": 2,
    "psnr_lips": 2,
    "psnr_eyes": 2,
    "lmd": 2,
    "jitter": 5,
    "flicker_head": 2,
    "flicker_torso": 2,
    "sync_lag": 0,
    "sync_offset": 0,
    "over_open": 0,
}
_STRIP_HEIGHT = 128


@dataclass
class Report:
    """All that is written of an evaluation."""

    facts: dict[str, object]
    rows: dict[str, Row] = field(default_factory=dict)
    crops: dict[str, list[np.ndarray]] = field(default_factory=dict)
    curves: dict[str, np.ndarray] = field(default_factory=dict)

    def table(self) -> str:
        """Return the Markdown table under one line of facts."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"{facts}\n\n{markdown_table(self.rows)}"

    def save(self, folder: Path) -> None:
        """Write metrics.json, table.md and figure.png."""
        save_metrics(folder / "metrics.json", self.facts, self.rows)
        save_text(folder / "table.md", self.table())
        save_figure(folder / "figure.png", {name: strip(crops) for name, crops in self.crops.items()}, self.curves)


def markdown_table(rows: Mapping[str, Row]) -> str:
    """Return the rows as a Markdown table, with the columns any row has."""
    columns = [name for name in COLUMNS if any(name in row for row in rows.values())]
    lines = ["| | " + " | ".join(COLUMNS[name] for name in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for title, row in rows.items():
        lines.append(f"| {title} | " + " | ".join(_cell(name, row.get(name)) for name in columns) + " |")
    return "\n".join(lines)


def _cell(name: str, value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{_DIGITS.get(name, 3)}f}"


def save_metrics(path: Path, facts: Mapping[str, object], rows: Mapping[str, Row]) -> None:
    """Write facts and rows as JSON; what does not exist is null."""
    clean = {
        title: {name: value if math.isfinite(value) else None for name, value in row.items()}
        for title, row in rows.items()
    }
    save_json(path, {**facts, "rows": clean})


def save_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def strip(crops: list[np.ndarray]) -> np.ndarray:
    """Return pictures [H,W,3] of any size side by side at one height."""
    resized = [
        cv2.resize(crop, (max(1, round(crop.shape[1] * _STRIP_HEIGHT / crop.shape[0])), _STRIP_HEIGHT))
        for crop in crops
    ]
    return np.concatenate(resized, axis=1)


def save_figure(path: Path, strips: Mapping[str, np.ndarray], curves: Mapping[str, np.ndarray]) -> None:
    """Write one PNG: strips of mouths, one below the other, then the lip openings [T] over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # heavy, and only wanted here
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.3 * len(strips) + 3), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(strips) + 1, 1, height_ratios=[1.3] * len(strips) + [3])
    for number, (title, picture) in enumerate(strips.items()):
        axes = figure.add_subplot(grid[number])
        axes.imshow(picture)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(title, fontsize=8)
    axes = figure.add_subplot(grid[len(strips)])
    for title, curve in curves.items():
        axes.plot(np.arange(len(curve)), curve, label=title, linewidth=1)
    axes.set(xlabel="frame", ylabel="lip opening / eye distance")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
