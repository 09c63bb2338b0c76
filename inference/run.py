"""Command line of inference.

python inference/run.py --mode landmarks|video|talk --video_id ID [--wav_id NAME | --audio FILE] [--out FILE]
                        [--config YAML] [--hparams "k=v,..."]

``landmarks`` writes ``infer_out/<id>/pred_lm3d/<wav>.npy``, ``video`` renders it, ``talk`` does both at once.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from inference.config import InferConfig
from utils.commons.cli import run_main
from utils.commons.experiment import short
from utils.commons.hparams import build_config, load_config
from utils.commons.schema import ConfigError
from utils.data import paths

logger = logging.getLogger(__name__)

DEFAULT_ID = "demo"
_BASE = paths.CODE_ROOT / "egs" / "egs_bases" / "infer.yaml"


@dataclass(frozen=True)
class Speech:
    """What is to be said."""

    path: Path
    name: str
    """Names the outputs."""


def main(argv: Sequence[str]) -> None:
    """Run one mode."""
    args = _parser().parse_args(argv)
    workers = [f"num_workers={args.num_workers}"] if args.num_workers else []
    config = infer_config(args.config, args.video_id, [*args.hparams, *workers])
    speech = find_speech(args.audio, args.wav_id)
    from inference.pipeline import TalkingHead  # loads torch: errors in the arguments come first

    head = TalkingHead(config=config)
    npy = args.landmarks or paths.pred_lm3d(config.video_id, speech.name)
    mp4 = args.out or paths.pred_video(config.video_id, speech.name)
    if args.mode == "talk":
        logger.info("saved %s", short(head.generate(speech.path, mp4)))
        return
    from inference.audio_to_landmarks import load_landmarks, save_landmarks

    if args.mode == "landmarks":
        save_landmarks(args.out or npy, head.landmarks(speech.path))
        logger.info("saved %s", short(args.out or npy))
    else:
        logger.info("saved %s", short(head.render(load_landmarks(npy), speech.path, mp4)))


def infer_config(config: Path | None, video_id: str, hparams: str | Sequence[str]) -> InferConfig:
    """Return the configuration of a person: the named file, else the person's own, else the base."""
    own = paths.CODE_ROOT / "egs" / "datasets" / "videos" / paths.check_id(video_id or DEFAULT_ID) / "infer.yaml"
    resolved = load_config(config or (own if own.exists() else _BASE), hparams)
    if video_id or "video_id" not in resolved.values:
        resolved.values["video_id"], resolved.origins["video_id"] = video_id or DEFAULT_ID, "--video_id"
    return build_config(InferConfig, resolved)


def find_speech(audio: Path | None, wav_id: str) -> Speech:
    """Return the sound file to speak: ``audio``, or ``data/raw/val_wavs/<wav_id>.wav``.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if audio is not None:
        if not audio.is_file():
            raise FileNotFoundError(f"no file {audio}; name a wav, mp3 or mp4 with speech")
        return Speech(audio, re.sub(r"[^A-Za-z0-9_.-]", "_", audio.stem).lstrip("_.-") or "speech")
    path = paths.raw_wav(wav_id or DEFAULT_ID)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.wav"))) or "none"
        raise FileNotFoundError(f"no {short(path)} (wav ids there: {known}); copy one there or give --audio FILE")
    return Speech(path, wav_id or DEFAULT_ID)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(f"{message}; see --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python inference/run.py", description="Make a trained person say something.")
    parser.add_argument("--mode", choices=("landmarks", "video", "talk"), default="talk")
    parser.add_argument("--video_id", default="", help=f"the person (default: the configuration's, else {DEFAULT_ID})")
    parser.add_argument(
        "--wav_id", default="", help="name of a file in data/raw/val_wavs, without .wav (default: demo)"
    )
    parser.add_argument("--audio", type=Path, help="any wav, mp3 or mp4, instead of --wav_id")
    parser.add_argument(
        "--landmarks", type=Path, help="npy to render in mode video (default: the one of mode landmarks)"
    )
    parser.add_argument("--out", type=Path, help="where to write")
    parser.add_argument("--config", type=Path, help="default: egs/datasets/videos/<id>/infer.yaml, else the base")
    parser.add_argument("--num_workers", type=int, default=0, help="processes that draw the frames (default: 1)")
    parser.add_argument("--hparams", action="append", default=[], help='overrides, "key=value,..."')
    return parser


if __name__ == "__main__":
    run_main(main)
