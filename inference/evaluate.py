"""How good a trained person is, by the definitions of docs/evaluation.md; the true video's own figures stand beside.

python inference/evaluate.py --video_id ID [--wav FILE] [--out DIR] [--max_frames N] [--judge DIR] [--artic]
                             [--hparams "k=v,..."]
python inference/evaluate.py --compare TRUE.mp4 OTHER.mp4 [--out DIR]

Writes metrics.json, table.md and figure.png to ``infer_out/<id>/evaluation``.
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
    """Evaluate a person, or compare two videos."""
    args = _parser().parse_args(argv)
    if bool(args.compare) == bool(args.video_id):
        raise ConfigError("give either --video_id ID or --compare TRUE.mp4 OTHER.mp4")
    from inference.report import Report  # heavy: errors in the arguments come first

    report = _compare(args) if args.compare else _person(args)
    assert isinstance(report, Report)
    out = args.out or work_root() / "infer_out" / (args.video_id or "compare") / "evaluation"
    report.save(out)
    sys.stdout.write(report.table() + "\n")
    logger.info("saved %s", short(out))


def _compare(args: argparse.Namespace) -> object:
    from inference.evaluation import compare_videos

    return compare_videos(args.compare[0], args.compare[1], landmarker=args.landmarker, max_frames=args.max_frames)


def _person(args: argparse.Namespace) -> object:
    from inference.evaluation import evaluate_person
    from inference.pipeline import TalkingHead
    from inference.run import find_speech, infer_config

    speech = find_speech(args.wav, "") if args.wav else None
    head = TalkingHead(config=infer_config(args.config, args.video_id, args.hparams))
    out = args.out or work_root() / "infer_out" / args.video_id / "evaluation"
    return evaluate_person(
        head,
        landmarker=args.landmarker,
        max_frames=args.max_frames,
        wav=speech.path if speech else None,
        out=out,
        judge_dir=args.judge,
        artic=args.artic,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python inference/evaluate.py", description="Measure a trained person.")
    parser.add_argument("--video_id", default="", help="the person")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("TRUE", "OTHER"), help="two videos instead")
    parser.add_argument("--wav", type=Path, help="a foreign voice: its video is made and measured too")
    parser.add_argument("--out", type=Path, help="folder to write to (default: infer_out/<id>/evaluation)")
    parser.add_argument("--max_frames", type=int, default=0, help="use at most this many frames (0 = all)")
    parser.add_argument("--judge", default="", help="SyncNet experiment, trained on other persons: adds sync_conf")
    parser.add_argument("--artic", action="store_true", help="articulation in videos of a minute of synthetic speech")
    parser.add_argument("--landmarker", default="mediapipe", help="the same for all videos")
    parser.add_argument("--config", type=Path, help="default: egs/datasets/videos/<id>/infer.yaml, else the base")
    parser.add_argument("--hparams", action="append", default=[], help='overrides, "key=value,..."')
    return parser


if __name__ == "__main__":
    run_main(main)
