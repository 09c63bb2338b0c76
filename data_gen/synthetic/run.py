"""Make demo footage of a synthetic person who really speaks: one video, a corpus of speakers, or a voice alone.

    python data_gen/synthetic/run.py --out data/raw/videos/demo.mp4 --seconds 30 --size 256
    python data_gen/synthetic/run.py --corpus data/raw/corpora/demo --speakers 4 --clips_per_speaker 6
    python data_gen/synthetic/run.py --motion_corpus demo_motion --speakers 40 --clips_per_speaker 8
    python data_gen/synthetic/run.py --speech_only data/raw/val_wavs/demo_de.wav --voice de --text "Guten Tag"

Everything is computed here from an open (CC0) head and espeak-ng; the same arguments give the same frames and sound.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from data_gen.synthetic.identity import identity_of
from data_gen.synthetic.subject import SIZE_RANGE, SubjectSpec, write_speech, write_subject
from modules.audio.synthetic_speech import VOICES, check_voice


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="write one talking video here (.mp4), and its truth in <stem>.truth/")
    what.add_argument("--corpus", type=Path, help="write <speaker>/<clip>.mp4 of several people into this folder")
    what.add_argument("--motion_corpus", help="write lip motion of many voices to data/binary/<this name>, no pictures")
    what.add_argument("--speech_only", type=Path, help="write only a voice here (.wav, 16 kHz mono)")
    parser.add_argument(
        "--seconds", type=float, help="length of the video (default 30) or of the voice (default: the text)"
    )
    parser.add_argument(
        "--size", type=int, default=256, help=f"height and width in pixels, {SIZE_RANGE[0]}..{SIZE_RANGE[1]}, even"
    )
    parser.add_argument(
        "--identity", type=int, default=0, help="which person: 0-5 are drawn up, larger numbers are mixtures"
    )
    parser.add_argument("--voice", help=f"language ({', '.join(VOICES)}) and, after a plus, a variant such as f2 or m3")
    parser.add_argument("--text", help="what to say, repeated to fill the time; default: sentences of our own")
    parser.add_argument("--seed", type=int, default=0, help="chooses sentences, pauses and motion")
    parser.add_argument("--speakers", type=int, default=4, help="corpus: how many people")
    parser.add_argument("--clips_per_speaker", type=int, default=6, help="corpus: clips of each")
    parser.add_argument("--seconds_per_clip", type=float, default=4.0, help="corpus: length of each clip")
    parser.add_argument("--speech_encoder", default="moonshine+mel", help="motion corpus: its speech features")
    parser.add_argument("--workers", type=int, default=1, help="motion corpus: processes")
    parser.add_argument("--truth", action="store_true", help="corpus: write the truth of every clip too")
    return parser


def make_corpus(args: argparse.Namespace) -> None:
    """`<speaker>/<clip>.mp4` for every speaker; clips that are there already are kept."""
    for name in ("speakers", "clips_per_speaker"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name} must be 1 or more, got {getattr(args, name)}")
    for speaker in range(args.speakers):
        for clip in range(args.clips_per_speaker):
            path = args.corpus / f"{speaker:03d}_{identity_of(speaker).name.lower()}" / f"{clip:05d}.mp4"
            seed = args.seed * 1_000_003 + speaker * 1009 + clip
            spec = SubjectSpec(
                seconds=args.seconds_per_clip,
                size=args.size,
                identity=speaker,
                voice=args.voice,
                seed=seed,
                text=args.text,
            )
            if not path.exists():
                write_subject(spec, path, with_truth=args.truth)


def make_motion_corpus(args: argparse.Namespace) -> None:
    """A corpus for training, without pictures."""
    from data_gen.synthetic.motion_corpus import MotionCorpusSpec, write_motion_corpus

    write_motion_corpus(
        MotionCorpusSpec(
            args.motion_corpus,
            args.speakers,
            args.clips_per_speaker,
            args.seconds_per_clip,
            args.seed,
            args.speech_encoder,
            num_workers=args.workers,
        )
    )


def make(args: argparse.Namespace) -> None:
    """Do what the command line asks."""
    if args.seconds is not None and not args.seconds > 0:
        raise ValueError(f"seconds must be greater than 0, got {args.seconds}")
    if args.seed < 0:
        raise ValueError(f"seed must be 0 or more, got {args.seed}")
    if args.corpus:
        make_corpus(args)
    elif args.motion_corpus:
        make_motion_corpus(args)
    elif args.speech_only:
        voice = args.voice or "en-us"
        check_voice(voice)
        write_speech(args.speech_only, voice=voice, seed=args.seed, text=args.text, seconds=args.seconds)
    else:
        if args.out.suffix != ".mp4":
            raise ValueError(f"out must end in .mp4, got {args.out}")
        seconds = 30.0 if args.seconds is None else args.seconds
        spec = SubjectSpec(seconds, args.size, args.identity, args.voice, args.seed, args.text)
        write_subject(spec, args.out)


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 2 a bad argument."""
    args = make_parser().parse_args(argv)
    try:
        make(args)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
