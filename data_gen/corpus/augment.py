"""A corpus again with other sound: the training clips in other rooms, noises, bands and speeds.

``<name>_augmented`` is trained on beside the original: ``corpus=<name>+<name>_augmented``.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from modules.audio import SAMPLES_PER_FRAME, build_speech_encoder, extract_f0
from modules.audio.augment import augment, resample_motion
from utils.commons.schema import ConfigError, DataError
from utils.data.clip_store import Clip, ClipStore, write_corpus
from utils.data.paths import binary_corpus, processed_corpus
from utils.media.audio import load_wav

logger = logging.getLogger(__name__)


def augment_corpus(name: str, copies: int, *, seed: int = 0, num_workers: int = 1, hubert_path: str = "") -> Path:
    """Write ``data/binary/<name>_augmented`` with ``copies`` altered versions of every training clip; return it.

    Raises:
        ConfigError: Not a positive number of copies.
        DataError: The corpus's report, which knows the sound files, is gone.
    """
    import joblib

    if copies < 1:
        raise ConfigError(f"augment_copies must be 1 or more, got {copies}")
    store, files = ClipStore(binary_corpus(name), "train"), source_files(name)
    target = binary_corpus(f"{name}_augmented")
    parallel = joblib.Parallel(n_jobs=num_workers, backend="loky", return_as="generator")
    job = joblib.delayed(altered)
    made = parallel(job(store, index, files, copies, seed, hubert_path) for index in range(len(store)))

    def rows() -> Iterator[tuple[str, Clip]]:
        for clips in made:
            for clip in clips:
                yield "train", clip

    manifest = store.manifest
    encoder = manifest.speech_encoder
    write_corpus(target, rows(), name=target.name, encoder=encoder, landmarker=manifest.landmarker)
    logger.info("corpus %s: %d altered clips in %s", target.name, copies * len(store), target)
    return target


def source_files(name: str) -> dict[str, Path]:
    """Return the sound file of every clip of a corpus."""
    report = processed_corpus(name) / "report.csv"
    if not report.exists():
        raise DataError(f"no {report}, which names the sound files; process the corpus {name} again")
    with report.open(newline="", encoding="utf-8") as file:
        return {row["item_id"]: Path(row["file"]) for row in csv.DictReader(file)}


def altered(
    store: ClipStore, index: int, files: dict[str, Path], copies: int, seed: int, hubert_path: str
) -> Sequence[Clip]:
    """Return ``copies`` altered versions of a clip."""
    clip, encoder = store[index], build_speech_encoder(store.manifest.speech_encoder, hubert_path=hubert_path)
    wav = load_wav(files[clip.item_id])
    wav = np.pad(wav, (0, max(0, len(clip.lm3d) * SAMPLES_PER_FRAME - len(wav))))[: len(clip.lm3d) * SAMPLES_PER_FRAME]
    found = []
    for copy in range(copies):
        changed = augment(wav, np.random.default_rng([seed, index, copy]))
        frames = max(1, len(changed.wav) // SAMPLES_PER_FRAME)
        sound = changed.wav[: frames * SAMPLES_PER_FRAME]
        lm3d = resample_motion(clip.lm3d, changed.speed, frames).astype(np.float32)
        speech = encoder.encode(sound).astype(np.float16)
        found.append(Clip(f"{clip.item_id}_a{copy}", clip.speaker, lm3d, speech, extract_f0(sound)))
    return found
