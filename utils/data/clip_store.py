"""A corpus of talking-head clips as Arrow IPC shards: ``data/binary/<corpus>/``.

``train-00000.arrow``, ``val-00000.arrow``, ... hold one clip a row; ``manifest.json`` names the speech encoder, its width
and the mean landmarks of every speaker. Shards are memory-mapped: memory does not grow with the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from utils.commons.schema import Config, DataError
from utils.data.atomic import atomic_dir, save_json

SCHEMA_VERSION = 1
_CLIPS_PER_SHARD = 512
_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("speaker", pa.string()),
        ("num_frames", pa.int32()),
        ("lm3d", pa.binary()),
        ("speech", pa.binary()),
        ("f0", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Clip:
    """One clip: T video frames at 25 fps and exactly 2T speech frames at 50 Hz."""

    item_id: str
    speaker: str
    lm3d: np.ndarray
    """[T,68,3] f32 cm, pose removed."""
    speech: np.ndarray
    """[2T,C] f16 or f32."""
    f0: np.ndarray
    """[2T] f32 Hz, 0 = unvoiced."""


class CorpusManifest(Config):
    """What a corpus says of itself."""

    schema_version: int = SCHEMA_VERSION
    name: str
    speech_encoder: str
    speech_dim: int
    landmarker: str
    num_clips: dict[str, int]
    """Clips in each split, ``train`` and ``val``."""
    speaker_mean: dict[str, list[list[float]]]
    """Mean landmarks [68,3] in cm of each speaker over all of the speaker's frames: the shape taken out of the motion."""


class ClipStore:
    """Random access to the clips of one split."""

    def __init__(self, root: Path, split: str) -> None:
        self.root, self.split = Path(root), split
        path = self.root / "manifest.json"
        if not path.exists():
            raise FileNotFoundError(
                f"no corpus in {self.root}; make it first: bash scripts/process_corpus.sh {self.root.name} <folder>"
            )
        try:
            self.manifest = CorpusManifest(**json.loads(path.read_text(encoding="utf-8")))
        except (ValidationError, json.JSONDecodeError) as error:
            raise DataError(f"{path} is not a corpus manifest ({error}); process the corpus again") from error
        self._means = {name: np.asarray(mean, np.float32) for name, mean in self.manifest.speaker_mean.items()}
        self._open()

    def _open(self) -> None:
        self._readers = [
            pa.ipc.open_file(pa.memory_map(str(p))) for p in sorted(self.root.glob(f"{self.split}-*.arrow"))
        ]
        self._index = [(r, b) for r, reader in enumerate(self._readers) for b in range(reader.num_record_batches)]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Clip:
        reader, batch = self._index[index]
        row = self._readers[reader].get_batch(batch).to_pylist()[0]
        frames = row["num_frames"]
        return Clip(
            item_id=row["item_id"],
            speaker=row["speaker"],
            lm3d=np.frombuffer(row["lm3d"], np.float32).reshape(frames, 68, 3),
            speech=np.frombuffer(row["speech"], np.float16).reshape(2 * frames, -1),
            f0=np.frombuffer(row["f0"], np.float32),
        )

    def overview(self) -> tuple[list[str], np.ndarray]:
        """Return the speaker and the number of frames of every clip, without reading the clips' arrays."""
        batches = [self._readers[reader].get_batch(batch) for reader, batch in self._index]
        return [b.column(1)[0].as_py() for b in batches], np.asarray(
            [b.column(2)[0].as_py() for b in batches], np.int64
        )

    def speaker_of(self, index: int) -> str:
        """Return the speaker of a clip without reading its arrays."""
        reader, batch = self._index[index]
        return str(self._readers[reader].get_batch(batch).column(1)[0].as_py())

    def speaker_mean(self, speaker: str) -> np.ndarray:
        """Return the speaker's neutral shape [68,3], cm."""
        return self._means[speaker]

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root, "split": self.split}

    def __setstate__(self, state: dict[str, Path | str]) -> None:
        self.__init__(Path(state["root"]), str(state["split"]))  # type: ignore[misc]


def write_corpus(root: Path, clips: Iterable[tuple[str, Clip]], *, name: str, encoder: str, landmarker: str) -> None:
    """Write ``(split, clip)`` pairs as shards; the folder appears whole or not at all.

    Raises:
        DataError: No clip at all, or clips whose arrays disagree in length or width.
    """
    counts = {"train": 0, "val": 0}
    sums: dict[str, tuple[np.ndarray, int]] = {}
    writers: dict[str, tuple[pa.OSFile, pa.RecordBatchFileWriter]] = {}
    speech_dim = 0
    with atomic_dir(root) as folder:
        for split, clip in clips:
            frames = len(clip.lm3d)
            if (
                len(clip.speech) != 2 * frames
                or len(clip.f0) != 2 * frames
                or speech_dim not in (0, clip.speech.shape[1])
            ):
                raise DataError(
                    f"clip {clip.item_id}: lm3d {clip.lm3d.shape}, speech {clip.speech.shape}, f0 {clip.f0.shape}"
                )
            speech_dim = clip.speech.shape[1]
            if counts[split] % _CLIPS_PER_SHARD == 0:
                _close(writers.pop(split, None))
                sink = pa.OSFile(str(folder / f"{split}-{counts[split] // _CLIPS_PER_SHARD:05d}.arrow"), "wb")
                writers[split] = (sink, pa.ipc.new_file(sink, _SCHEMA))
            writers[split][1].write_batch(pa.RecordBatch.from_pylist([_row(clip)], schema=_SCHEMA))
            counts[split] += 1
            total, number = sums.get(clip.speaker, (np.zeros((68, 3)), 0))
            sums[clip.speaker] = (total + clip.lm3d.sum(0), number + frames)
        for open_writer in writers.values():
            _close(open_writer)
        if not sums:
            raise DataError(f"corpus {name} has no usable clip")
        means = {speaker: (total / number).tolist() for speaker, (total, number) in sums.items()}
        manifest = CorpusManifest(
            name=name,
            speech_encoder=encoder,
            speech_dim=speech_dim,
            landmarker=landmarker,
            num_clips=counts,
            speaker_mean=means,
        )
        save_json(folder / "manifest.json", manifest.model_dump())


def _row(clip: Clip) -> dict[str, object]:
    return {
        "item_id": clip.item_id,
        "speaker": clip.speaker,
        "num_frames": len(clip.lm3d),
        "lm3d": np.ascontiguousarray(clip.lm3d, np.float32).tobytes(),
        "speech": np.ascontiguousarray(clip.speech, np.float16).tobytes(),
        "f0": np.ascontiguousarray(clip.f0, np.float32).tobytes(),
    }


def _close(writer: tuple[pa.OSFile, pa.RecordBatchFileWriter] | None) -> None:
    if writer:
        writer[1].close()
        writer[0].close()
