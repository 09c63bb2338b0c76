"""Measure a trained person; see scripts/bench.sh. Each part runs in a process of its own, with its own memory."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

    from utils.commons.malloc import tune_process

    tune_process()

from modules.nerf.super_resolution import TIERS
from tasks.launch import companions, process_count
from utils.commons import distributed
from utils.commons.cli import run_main
from utils.commons.experiment import short
from utils.commons.machine import describe_machine
from utils.commons.schema import DataError
from utils.data import paths
from utils.data.atomic import atomic_path, save_json
from utils.media.ffmpeg import check_is_file

PARTS = ("draw", "landmarks", "video", "training", "vanilla")
Results = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    if options.save:
        save_part(options, arguments)
        return
    check(options)
    results: Results = {"video_id": options.video_id, "machine": describe_machine()}
    for part in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "part.json"
            command = [sys.executable, __file__, *arguments, "--parts", part, "--save", str(target)]
            if subprocess.run(command, check=False).returncode == 0:
                results[part] = json.loads(target.read_text(encoding="utf-8"))
            else:
                results[part] = {"error": "this part failed; see above"}
    folder = paths.work_root() / "infer_out" / options.video_id / "bench"
    text = report(results)
    save_json(folder / "bench.json", results)
    with atomic_path(folder / "table.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
    if failed := [part for part in options.parts if "error" in results[part]]:
        raise DataError(f"not measured: {', '.join(failed)}; the errors stand above, the rest is in {short(folder)}")


def save_part(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Measure one part in this process, or in several that train together; the first of them writes."""
    (part,) = options.parts
    with companions(options.processes if part == "training" else 1, arguments):
        results = run_part(part, options)
        if distributed.rank_and_size()[0] == 0:
            save_json(options.save, results)
        distributed.shut_down()


def check(options: argparse.Namespace) -> None:
    """Pass if the person and its trained models are there, before minutes are spent."""
    from inference.pipeline import TalkingHead
    from inference.run import infer_config

    tier = "fast" if "fast" in options.tiers else "full"
    head = TalkingHead(config=infer_config(None, options.video_id, options.hparams).model_copy(update={"tier": tier}))
    hears = {"video", "landmarks"} & set(options.parts)
    head.check_experiments(motion=bool(hears), renderer=options.parts != ["landmarks"])
    if hears:
        check_is_file(options.audio or paths.raw_wav("demo"), "speech (--audio FILE)")


def run_part(part: str, options: argparse.Namespace) -> Results:
    """Return the figures of one part, measured in this process."""
    from inference.benchmark import draw_rows, peak_memory_gb, video_row
    from inference.run import infer_config

    config = infer_config(None, options.video_id, options.hparams)
    found: Results = {}
    if part == "draw":
        rows = draw_rows(config, sizes=options.sizes, tiers=options.tiers, frames=options.frames)
        found["rows"] = [asdict(row) for row in rows]
    elif part == "landmarks":
        from inference.benchmark import landmarks_row

        wav = options.audio or paths.raw_wav("demo")
        found["row"] = asdict(landmarks_row(config, wav, sound_seconds=options.seconds))
    elif part == "video":
        wav = options.audio or paths.raw_wav("demo")
        keys = {"infer_image_size": max(options.sizes)}
        found["rows"] = []
        with tempfile.TemporaryDirectory() as folder:
            for tier in options.tiers:
                settings = config.model_copy(update={**keys, "tier": tier, "renderer_backend": "auto"})
                row = video_row(settings, wav, Path(folder) / "out.mp4", sound_seconds=options.seconds)
                found["rows"].append(asdict(row) | {"seconds": round(row.seconds, 2)})
    elif part == "training":
        from tasks.nerf.benchmark import training_row

        speed = training_row(config.head_dir, n_rays=options.n_rays)
        found.update(asdict(speed) | {"rays_per_second": round(speed.rays_per_second)})
    else:
        from tasks.nerf.benchmark import vanilla_seconds

        found["seconds_512"] = round(vanilla_seconds(), 1)
    return found | {"peak_memory_gb": peak_memory_gb()}


def report(results: Results) -> str:
    """Return all figures as Markdown."""
    machine = results["machine"]
    lines = [f"{results['video_id']}: {machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}", ""]
    vanilla = results.get("vanilla", {}).get("seconds_512")
    if rows := results.get("draw", {}).get("rows"):
        lines += [
            "| backend | tier | size | ms | frames/s | samples | stages ms | ratio to vanilla |",
            "|---" * 8 + "|",
        ]
        for row in rows:
            stages = ", ".join(f"{name} {value}" for name, value in row["stages"].items() if value)
            ratio = f"{vanilla * (row['size'] / 512) ** 2 / row['ms'] * 1000:.0f}" if vanilla else "-"
            cells = [row["backend"], row["tier"], row["size"], row["ms"], row["frames_per_second"], row["samples"]]
            lines.append("| " + " | ".join(map(str, [*cells, stages, ratio])) + " |")
        lines.append("")
    for row in results.get("video", {}).get("rows", []):
        lines.append(
            f"- {row['sound_seconds']} s of speech to {row['size']}² mp4, {row['tier']} tier: {row['seconds']} s "
            f"(landmarks {row['landmarks_seconds']}, drawing and encoding {row['drawing_seconds']}); "
            f"first frame of a stream {row['first_frame_seconds']} s after its first half second of sound"
        )
    if row := results.get("landmarks", {}).get("row"):
        lines.append(
            f"- {row['sound_seconds']} s of speech to landmarks: decoding {row['decoding_seconds']}, predicting "
            f"{row['predicting_seconds']}, filters {row['filtering_seconds']} s, {row['times_real_time']} x real time; "
            f"memory {row['memory_before_gb']} GB before, {row['memory_after_gb']} after"
        )
    if "rays_per_second" in (training := results.get("training", {})):
        lines.append(
            f"- training: {training['rays_per_second']} rays/s ({training['rays']} rays: step {training['step_ms']}, "
            f"batch {training['batch_ms']} ms, amp {training['amp']}, processes {training['processes']})"
        )
    if vanilla:
        lines.append(f"- the original's head and torso: {vanilla} s a 512² frame")
    memory = {part: results[part]["peak_memory_gb"] for part in PARTS if "peak_memory_gb" in results.get(part, {})}
    lines.append("- peak memory GB: " + ", ".join(f"{part} {value}" for part, value in memory.items()))
    return "\n".join(lines) + "\n"


def _some_of(choices: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        found = text.split(",")
        if unknown := [name for name in found if name not in choices]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(choices)}")
        return found

    return parse


def _sizes(text: str) -> list[int]:
    if not all(size.isdigit() and 32 <= int(size) <= 4096 for size in text.split(",")):
        raise argparse.ArgumentTypeError(f"sizes must be whole numbers of 32 to 4096 pixels, got {text!r}")
    return [int(size) for size in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bash scripts/bench.sh", description="Measure a trained person.")
    parser.add_argument("video_id", help="a person with trained head, torso, sr and (for the video) postnet")
    parser.add_argument("--sizes", type=_sizes, default="256,512", help="picture sizes; the video takes the largest")
    parser.add_argument(
        "--tiers", type=_some_of(TIERS), default=",".join(TIERS), help="sizes at which the head is drawn"
    )
    parser.add_argument("--frames", type=int, default=7, help="frames timed, after two to warm up")
    parser.add_argument("--seconds", type=float, default=10.0, help="speech in video and landmarks (here 0 = all)")
    parser.add_argument("--audio", type=Path, help="speech; default data/raw/val_wavs/demo.wav")
    parser.add_argument("--n_rays", type=int, default=0, help="rays of a training step; 0 = as trained")
    parser.add_argument("--processes", type=process_count, metavar="N", default=1, help="that train")
    parser.add_argument("--parts", type=_some_of(PARTS), default=",".join(PARTS), help="what to measure")
    parser.add_argument("--hparams", action="append", default=[], help="overrides of the inference configuration")
    parser.add_argument("--save", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    run_main(main)
