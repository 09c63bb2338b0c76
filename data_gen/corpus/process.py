"""A folder of clips becomes a corpus: in parallel, resumable, bad clips reported and left out."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_gen.corpus.clips import ClipFile, find_clips, fingerprint, load_clip, process_clip
from data_gen.corpus.config import CorpusConfig
from data_gen.corpus.executors import Executor, run_all
from utils.commons.schema import DataError
from utils.data.atomic import atomic_path, save_json
from utils.data.clip_store import Clip, write_corpus
from utils.data.paths import binary_corpus, processed_corpus

logger = logging.getLogger(__name__)
_DIGEST_FILE = "source.json"


def process_corpus(
    name: str, folder: Path, config: CorpusConfig, *, force: bool = False, executor: Executor = "joblib"
) -> None:
    """Make ``data/binary/<name>`` from ``<folder>/<speaker>/<clip>.mp4``; see ``executors`` for where the work is done.

    Raises:
        FileNotFoundError: No such folder.
        DataError: No clip, or none that can be used.
    """
    target, processed = binary_corpus(name), processed_corpus(name)
    clips = find_clips(folder, processed)
    reasons = _process_clips(clips, config, force, executor)
    write_report(processed, clips, reasons)
    good = [clip for clip in clips if not reasons[clip.item_id]]
    _log_bad(processed, clips, reasons)
    if not good:
        reason = Counter(reasons.values()).most_common(1)[0][0]
        raise DataError(
            f"none of the {len(clips)} clips in {folder} can be used ({reason}); see {processed / 'report.csv'}"
        )
    digest = _digest(good, config)
    if not force and _stored_digest(target) == digest:
        logger.info("corpus %s: skipped (done)", name)
        return
    splits = split_clips([clip.item_id for clip in good], config.val_every)
    write_corpus(target, _rows(good, splits), name=name, encoder=config.speech_encoder, landmarker=config.landmarker)
    save_json(target / _DIGEST_FILE, {"digest": digest})
    counts = Counter(splits.values())
    logger.info(
        "corpus %s: %d clips to train on, %d for validation in %s", name, counts["train"], counts["val"], target
    )


def _process_clips(clips: Sequence[ClipFile], config: CorpusConfig, force: bool, executor: Executor) -> dict[str, str]:
    """Return the reason why each clip cannot be used, ``""`` for good ones, by item id."""
    from tqdm import tqdm

    job = functools.partial(_job, config=config, force=force)
    done = run_all(job, clips, executor=executor, num_workers=config.num_workers)
    pause = 0.2 if sys.stderr.isatty() else 10.0
    return dict(tqdm(done, total=len(clips), desc="corpus", unit="clip", dynamic_ncols=True, mininterval=pause))


def _job(clip: ClipFile, *, config: CorpusConfig, force: bool) -> tuple[str, str]:
    return clip.item_id, process_clip(clip, config, force=force)


def split_clips(item_ids: Sequence[str], val_every: int) -> dict[str, str]:
    """Return ``train`` or ``val`` for every clip by a hash of its name: the same on every machine and in every order.

    About one in ``val_every`` validates; of two or more clips at least one trains and one validates.
    """
    ranks = {item: int.from_bytes(hashlib.sha256(item.encode()).digest()[:8], "big") for item in item_ids}
    splits = {item: "train" if rank % val_every else "val" for item, rank in ranks.items()}
    if len(splits) > 1 and len(set(splits.values())) == 1:
        lowest = min(ranks, key=lambda item: ranks[item])
        splits[lowest] = "val" if splits[lowest] == "train" else "train"
    elif len(splits) == 1:
        splits = dict.fromkeys(splits, "train")
    return splits


def _rows(clips: Sequence[ClipFile], splits: dict[str, str]) -> Iterator[tuple[str, Clip]]:
    for clip in clips:
        yield splits[clip.item_id], load_clip(clip)


def _digest(clips: Sequence[ClipFile], config: CorpusConfig) -> str:
    text = json.dumps([config.val_every, [[clip.item_id, fingerprint(clip, config)] for clip in clips]])
    return hashlib.sha256(text.encode()).hexdigest()


def _stored_digest(target: Path) -> str:
    path = target / _DIGEST_FILE
    if not path.exists() or not (target / "manifest.json").exists():
        return ""
    return str(json.loads(path.read_text(encoding="utf-8"))["digest"])


def write_report(processed: Path, clips: Sequence[ClipFile], reasons: dict[str, str]) -> None:
    """Write ``report.csv`` and ``report.json``: every clip, whether it is used, and the reason if not."""
    rows = [
        {
            "item_id": clip.item_id,
            "file": str(clip.path),
            "used": not reasons[clip.item_id],
            "reason": reasons[clip.item_id],
        }
        for clip in clips
    ]
    bad = [row for row in rows if not row["used"]]
    save_json(processed / "report.json", {"num_clips": len(rows), "num_bad": len(bad), "bad": bad})
    with atomic_path(processed / "report.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["item_id", "file", "used", "reason"])
        writer.writeheader()
        writer.writerows(rows)


def _log_bad(processed: Path, clips: Sequence[ClipFile], reasons: dict[str, str]) -> None:
    bad = [clip for clip in clips if reasons[clip.item_id]]
    if bad:
        first = bad[0]
        text = "%d of %d clips are left out, such as %s: %s; all reasons: %s"
        logger.warning(text, len(bad), len(clips), first.item_id, reasons[first.item_id], processed / "report.csv")
