"""Process a person's video, or a corpus of clips, into a dataset.

python data_gen/run.py --config egs/datasets/videos/<id>/process.yaml [--stage NAME] [--force] [--hparams "k=v,..."]
python data_gen/run.py --corpus <name> --folder <folder> --config egs/datasets/lrs3/process.yaml
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# Stages use the cores by threads and processes of their own. Set before NumPy is imported.
for _library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    from utils.commons.malloc import tune_process

    tune_process()
    # threads that wait for each other's short turns in Python get them sooner: 6 % less time for the poses
    sys.setswitchinterval(3e-4)

from utils.commons.cli import run_main
from utils.commons.schema import Config, ConfigError

if TYPE_CHECKING:
    from data_gen.corpus.config import CorpusConfig


def main(arguments: Sequence[str]) -> None:
    """Process what the command line names."""
    options = _parser().parse_args(arguments)
    from utils.commons.hparams import build_config, describe, load_config

    overrides = [*options.hparams, "fix_sync=true"] if options.fix_sync else options.hparams
    resolved = load_config(options.config, overrides, options.preset)
    if options.corpus:
        from data_gen.corpus.config import CorpusConfig

        _check_corpus_options(options)
        corpus_config = build_config(CorpusConfig, resolved)
        if not options.print_config:
            from data_gen.corpus.process import process_corpus

            process_corpus(
                options.corpus, Path(options.folder), corpus_config, force=options.force, executor=options.executor
            )
            _augment(options.corpus, corpus_config)
        config: Config = corpus_config
    else:
        from data_gen.videos.config import ProcessConfig

        video_config = build_config(ProcessConfig, resolved)
        if not options.print_config:
            from data_gen.videos.pipeline import process_video

            process_video(video_config, stage=options.stage, force=options.force)
        config = video_config
    if options.print_config:
        sys.stdout.write(describe(config, resolved) + "\n")


def _augment(corpus: str, config: CorpusConfig) -> None:
    if config.augment_copies:
        from data_gen.corpus.augment import augment_corpus

        augment_corpus(
            corpus,
            config.augment_copies,
            num_workers=config.num_workers or len(os.sched_getaffinity(0)),
            hubert_path=config.hubert_path,
        )


def _check_corpus_options(options: argparse.Namespace) -> None:
    if options.stage:
        raise ConfigError("--stage is for videos; a corpus is processed clip by clip and goes on where it stopped")
    if not options.folder:
        raise ConfigError("--corpus needs --folder, a folder that holds <speaker>/<clip>.mp4")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Process a person's video or a corpus of clips into a dataset.")
    parser.add_argument("--config", required=True, help="YAML file, such as egs/datasets/videos/<id>/process.yaml")
    parser.add_argument("--hparams", action="append", default=[], help='overrides: "image_size=256,fix_sync=true"')
    parser.add_argument("--preset", default="quick", help="quick or full")
    parser.add_argument("--stage", help="run this stage only")
    parser.add_argument("--force", action="store_true", help="run again what is done")
    parser.add_argument(
        "--fix_sync", action="store_true", help="shift the sound by the lag found between lips and sound"
    )
    parser.add_argument("--corpus", default="", help="process a corpus of this name instead of a video")
    parser.add_argument("--folder", default="", help="the corpus' folder: <speaker>/<clip>.mp4")
    parser.add_argument(
        "--executor", choices=("joblib", "ray"), default="joblib", help="corpus: cores here, or a Ray cluster"
    )
    parser.add_argument("--print_config", action="store_true", help="show every key, its value and its origin")
    return parser


if __name__ == "__main__":
    run_main(main)
