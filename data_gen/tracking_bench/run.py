"""Measure tracking, layers and cuts: on the synthetic subject against exact truth, on real clips by self-consistency.

    bash scripts/bench_tracking.sh   # two identities, two sizes, four qualities
    bash scripts/bench_tracking.sh --real data/raw/videos/me.mp4 --name mine  # and a real clip, processed whole
    bash scripts/bench_tracking.sh --hparams "pose_refine=none" --name raw    # another way of tracking

Prints a table and writes it, with all figures as JSON, to $GENEFACE_ROOT/results/<name>.{md,json}. Work done is kept.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

for _library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
sys.path[0] = str(Path(__file__).resolve().parents[2])

if __name__ == "__main__":
    from utils.commons.malloc import tune_process

    tune_process()

import numpy as np

from data_gen.stages import run_stages
from data_gen.tracking_bench.footage import VARIANTS, Case, make_clip
from data_gen.tracking_bench.measure import Figures, against_truth, costs, cuts_against, self_consistency
from data_gen.videos.config import ProcessConfig
from data_gen.videos.pipeline import process_video, video_stages
from utils.commons.cli import run_main
from utils.commons.hparams import build_config, load_config
from utils.data.atomic import atomic_path, save_json
from utils.data.paths import CODE_ROOT, processed_video, raw_video, work_root

logger = logging.getLogger(__name__)
_NEEDED = ("preflight", "ingest", "landmarks", "head_pose", "segmentation")
_BASE = CODE_ROOT / "egs" / "egs_bases" / "process.yaml"


def main(arguments: Sequence[str]) -> None:
    """Measure what the command line names."""
    options = _parser().parse_args(arguments)
    rows: dict[str, Figures] = {}
    for case in _cases(options):
        make_clip(case, options.seconds, options.seed)
        config = _config(case.video_id, case.size, options.hparams)
        stages = [stage for stage in video_stages() if stage.name in _NEEDED]
        run_stages(stages, config, processed_video(case.video_id))
        rows[case.video_id] = against_truth(case)
    if rows:
        rows = {"synthetic, median": _median(list(rows.values())), **rows}
    for path in options.real:
        rows[path.stem] = _real(path, options.hparams)
    _write(options.name, rows)


def _cases(options: argparse.Namespace) -> list[Case]:
    if options.no_synthetic:
        return []
    return [
        Case(i, size, variant) for i in options.identities for size in options.sizes for variant in options.variants
    ]


def _config(video_id: str, size: int, hparams: Sequence[str]) -> ProcessConfig:
    own = f"video_id={video_id},image_size={size},crop=never"
    return build_config(ProcessConfig, load_config(_BASE, [own, *hparams], "quick"))


def _real(path: Path, hparams: Sequence[str]) -> Figures:
    """Return the figures of a real clip processed whole, without any list of cuts beside it."""
    raw = raw_video(path.stem)
    raw.parent.mkdir(parents=True, exist_ok=True)
    if not raw.exists():
        raw.symlink_to(path.resolve())
    process_video(_config(path.stem, 512, hparams))
    result = self_consistency(path.stem) | costs(path.stem)
    known = path.with_name(f"{path.stem}.cuts.json")
    return result | cuts_against(path.stem, known) if known.exists() else result


def _median(rows: Sequence[Figures]) -> Figures:
    return {key: float(np.median([row[key] for row in rows])) for key in rows[0]}


def _write(name: str, rows: dict[str, Figures]) -> None:
    table = _table(rows)
    sys.stdout.write(table)
    folder = work_root() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    save_json(folder / f"{name}.json", rows)
    with atomic_path(folder / f"{name}.md") as path:
        path.write_text(table, encoding="utf-8")


def _table(rows: dict[str, Figures]) -> str:
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [["clip", *columns], ["---"] * (len(columns) + 1)]
    lines += [[clip, *(f"{row[key]:.4g}" if key in row else "-" for key in columns)] for clip, row in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="now", help="of the result files")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the synthetic clips")
    parser.add_argument("--seed", type=int, default=3, help="of what they say and how they move")
    parser.add_argument("--identities", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--no_synthetic", action="store_true", help="measure the real clips only")
    parser.add_argument("--real", type=Path, nargs="+", default=[], help="real clips, processed at 512 pixels")
    parser.add_argument("--hparams", action="append", default=[], help='processing settings: "pose_refine=none"')
    return parser


if __name__ == "__main__":
    run_main(main)
