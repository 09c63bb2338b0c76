"""Speech to lips without rendering, in seconds: how landmarks predicted from sound compare with the tracked ones.

python inference/evaluate_landmarks.py --video_id ID [--generic DIR] [--judge DIR] [--wav FILE ...] [--artic]
python inference/evaluate_landmarks.py --corpus NAME [--speakers A,B] --generic DIR [--judge DIR] [--out DIR]

``--generic`` names a trained audio2motion experiment (default: the postnet's own), ``--judge`` a SyncNet trained on
other persons. Definitions: docs/evaluation.md. Writes metrics.json and table.md to ``infer_out/<id>/landmarks``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.commons.cli import run_main  # noqa: E402
from utils.commons.experiment import short  # noqa: E402
from utils.commons.schema import ConfigError  # noqa: E402
from utils.data.paths import work_root  # noqa: E402

logger = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> None:
    """Measure a person, or speakers of a corpus."""
    args = _parser().parse_args(argv)
    if bool(args.corpus) == bool(args.video_id):
        raise ConfigError("give either --video_id ID or --corpus NAME")
    if args.corpus and not args.generic:
        raise ConfigError("--corpus measures a generic model: name it with --generic checkpoints/<...>")
    from inference.landmark_evaluation import evaluate_speakers  # loads torch: errors in the arguments come first
    from inference.report import markdown_table, save_metrics, save_text

    if args.corpus:
        speakers = [name for name in args.speakers.split(",") if name]
        rows = evaluate_speakers(args.corpus, speakers, generic_dir=args.generic, judge_dir=args.judge)
    else:
        rows = _person(args)
    out = args.out or work_root() / "infer_out" / (args.video_id or args.corpus) / "landmarks"
    table = markdown_table(rows)
    save_metrics(out / "metrics.json", {"video_id": args.video_id, "corpus": args.corpus}, rows)
    save_text(out / "table.md", table)
    sys.stdout.write(table + "\n")
    logger.info("saved %s", short(out))


def _person(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    from inference.landmark_evaluation import evaluate_landmarks
    from inference.pipeline import TalkingHead
    from inference.run import infer_config

    head = TalkingHead(config=infer_config(args.config, args.video_id, args.hparams))
    return evaluate_landmarks(
        head, generic_dir=args.generic, judge_dir=args.judge, wavs=args.wav or [], artic=args.artic
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python inference/evaluate_landmarks.py", description="Measure lip motion.")
    parser.add_argument("--video_id", default="", help="the person")
    parser.add_argument("--corpus", default="", help="speakers of this corpus instead, with the generic model")
    parser.add_argument("--speakers", default="", help="only these, joined by commas")
    parser.add_argument("--generic", default="", help="audio2motion experiment (default: the one the postnet names)")
    parser.add_argument("--judge", default="", help="SyncNet experiment, trained on other persons")
    parser.add_argument("--wav", type=Path, nargs="*", help="foreign voices")
    parser.add_argument("--artic", action="store_true", help="articulation on synthetic speech (some 20 s more)")
    parser.add_argument("--out", type=Path, help="folder to write to (default: infer_out/<id>/landmarks)")
    parser.add_argument("--config", type=Path, help="default: egs/datasets/videos/<id>/infer.yaml, else the base")
    parser.add_argument("--hparams", action="append", default=[], help='overrides, "key=value,..."')
    return parser


if __name__ == "__main__":
    run_main(main)
