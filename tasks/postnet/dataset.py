"""Batches for the post-net: crops of the generic corpus and windows of the person, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from modules.syncnet.pairs import draw_starts
from tasks.base_task import BatchDataset
from utils.commons.runtime import seeded_generator
from utils.commons.schema import DataError
from utils.data import paths
from utils.data.clip_motion import MotionClip, MotionClips, crop_batch, draw_crops
from utils.data.corpora import CorpusConfig, open_corpus
from utils.data.person_store import PersonStore

_CONTEXT, _PIECE, _MAX_PIECES = 24, 200, 128
_RIDGE_PIECE, _PARTS = 1000, 8


class PersonDataConfig(CorpusConfig):
    """How corpus crops and person windows are drawn."""

    video_id: str = ""
    """The person, a folder below ``binary_data_dir``/videos."""
    batch_clips: int = Field(16, ge=1)
    """Crops of the corpus in one batch."""
    batch_windows: int = Field(16, ge=1)
    """Windows of the person in one batch."""
    crop_frames: int = Field(72, ge=4, multiple_of=4)
    """Frames of a crop or window; what is shorter is padded."""
    speaker_balance: float = Field(0.5, ge=0, le=1)
    """0 draws clips as they come, 1 draws every speaker equally often."""
    sync_pairs: int = Field(64, ge=1)
    """Windows of a batch on which the sync expert judges."""


def open_person(config: PersonDataConfig) -> PersonStore:
    """Return the configured person's data."""
    return PersonStore(paths.under_work_root(config.binary_data_dir) / "videos" / paths.check_id(config.video_id))


def person_clip(store: PersonStore, start: int, end: int) -> MotionClip:
    """Return a frame range of the person as deviations from the person's own mean."""
    deviation = np.asarray(store.lm3d[start:end], np.float32) - store.lm3d_neutral
    return MotionClip(
        deviation=torch.from_numpy(deviation.reshape(end - start, -1)),
        speech=torch.from_numpy(np.array(store.speech[2 * start : 2 * end], np.float32)),
        f0=torch.from_numpy(np.array(store.f0[2 * start : 2 * end], np.float32)),
    )


def person_spans(store: PersonStore) -> list[tuple[int, int]]:
    """Return pieces of the training ranges, none longer than 1000 frames."""
    return [
        (low, min(low + _RIDGE_PIECE, end))
        for start, end in store.manifest.train_ranges
        for low in range(start, end, _RIDGE_PIECE)
    ]


def person_pieces(store: PersonStore) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield (speech, deviations, mask) of :func:`person_spans`."""
    for low, high in person_spans(store):
        clip = person_clip(store, low, high)
        yield clip.speech, clip.deviation, torch.from_numpy(np.array(store.valid[low:high], np.float32))


def selection_split(ranges: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return what the network trains on and what chooses its checkpoint, an eighth of the training ranges.

    The tail of each range, or the last whole ranges where there are eight or more.
    """
    if len(ranges) < _PARTS:
        cuts = [(start, end - (end - start) // _PARTS, end) for start, end in ranges]
        return [(a, b) for a, b, _ in cuts], [(b, c) for _, b, c in cuts if c > b]
    total, seen = sum(end - start for start, end in ranges), 0
    train: list[tuple[int, int]] = []
    select: list[tuple[int, int]] = []
    for start, end in ranges:
        seen += end - start
        (train if seen <= total * (_PARTS - 1) // _PARTS else select).append((start, end))
    return train, select


class PersonWindows:
    """Random windows of the person's training ranges; no window crosses a cut."""

    def __init__(self, store: PersonStore, ridge: Tensor | None = None) -> None:
        """Take the ranges the network trains on; ``ridge`` [N,204] is the linear map's motion of every frame."""
        self.store, self.ridge = store, ridge
        self.ranges = [(a, b) for a, b in selection_split(store.manifest.train_ranges)[0] if b - a >= 2]
        if not self.ranges:
            raise DataError(f"{store.root} has no training range of two frames; process a longer video")
        self.lengths = torch.tensor([b - a for a, b in self.ranges])

    def draw(self, count: int, frames: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return ``count`` windows as :func:`crop_batch` does; frames without a face have mask 0."""
        chosen = torch.multinomial(self.lengths.double(), count, replacement=True, generator=generator)
        room = (self.lengths[chosen] - frames).clamp(min=0)
        starts = torch.tensor([self.ranges[int(index)][0] for index in chosen])
        starts += (torch.rand(count, generator=generator, dtype=torch.float64) * (room + 1)).long().minimum(room)
        ends = torch.tensor([self.ranges[int(index)][1] for index in chosen]).minimum(starts + frames)
        spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
        batch = crop_batch([person_clip(self.store, *span) for span in spans], [0] * count, frames)
        for row, (start, end) in enumerate(spans):
            batch["y_mask"][row, : end - start] *= torch.from_numpy(np.array(self.store.valid[start:end], np.float32))
        if self.ridge is not None:
            batch["ridge"] = ridge_windows(self.ridge, spans, frames)
        return batch


def ridge_windows(ridge: Tensor, spans: Sequence[tuple[int, int]], frames: int) -> Tensor:
    """Return the windows [B,frames,204] of the linear map's motion [N,204]; the last frame of each goes on."""
    rows = [torch.arange(start, start + frames).clamp(max=end - 1) for start, end in spans]
    return ridge[torch.stack(rows)]


class PostNetBatches(BatchDataset):
    """Item ``step``: a corpus batch with ``sync_items``/``sync_starts`` [K] and, prefixed ``p_``, a person batch."""

    def __init__(
        self,
        config: PersonDataConfig,
        *,
        sync_win: int,
        num_steps: int,
        seed: int,
        rank: int,
        ridge: Tensor | None = None,
    ) -> None:
        self.config, self.sync_win, self.num_steps, self.salt = config, sync_win, num_steps, (seed, rank)
        self.person = PersonWindows(open_person(config), ridge)
        self.clips: MotionClips | None = None
        if config.corpus:
            self.clips = MotionClips(open_corpus(config, "train"))
            self.weights = self.clips.weights(config.speaker_balance)

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        seed, rank = self.salt
        config, generator = self.config, seeded_generator(seed, step, rank)
        edges = (config.crop_frames, config.crop_frames)
        if self.clips is None:  # the person's own speech is all there is
            batch = self.person.draw(config.batch_clips, config.crop_frames, generator)
        else:
            batch = draw_crops(self.clips, config.batch_clips, edges, self.weights, generator)
        count = config.sync_pairs if self.sync_win else 0
        real_frames = batch["y_mask"].sum(1).long()
        batch["sync_items"], batch["sync_starts"] = draw_starts(real_frames, count, max(1, self.sync_win), generator)
        person = self.person.draw(config.batch_windows, batch["y"].shape[1], generator)
        return batch | {f"p_{name}": tensor for name, tensor in person.items()}


class PersonTest(BatchDataset):
    """The one validation batch: the frames that choose the checkpoint and the test frames, with some of context.

    ``speech`` [N,2L,C], ``f0`` [N,2L], ``y`` [N,L,204], ``y_mask`` [N,L] (1 = exists), ``select_mask`` and
    ``eval_mask`` [N,L] (1 = a frame with a face that chooses, or tests), ``ridge`` [N,L,204] if known. At most 128
    pieces of 200 frames each, so memory does not grow with the clip.
    """

    def __init__(self, config: PersonDataConfig, ridge: Tensor | None = None) -> None:
        self.store, self.ridge = open_person(config), ridge
        manifest = self.store.manifest
        select = selection_split(manifest.train_ranges)[1]
        chosen, tests = (_test_pieces(manifest.segments, ranges) for ranges in (select, manifest.test_ranges))
        self.pieces, self.num_select = chosen + tests, len(chosen)
        if not tests:
            raise DataError(f"{self.store.root} has no test frames; process a longer video")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        frames = max(high - low for low, _, _, high in self.pieces)
        clips = [person_clip(self.store, low, high) for low, _, _, high in self.pieces]
        batch = crop_batch(clips, [0] * len(clips), -(-frames // 4) * 4)
        valid = torch.from_numpy(np.array(self.store.valid))
        for name in ("select_mask", "eval_mask"):
            batch[name] = torch.zeros_like(batch["y_mask"])
        for row, (low, start, end, _) in enumerate(self.pieces):
            name = "select_mask" if row < self.num_select else "eval_mask"
            batch[name][row, start - low : end - low] = valid[start:end].float()
        if self.ridge is not None:
            spans = [(low, high) for low, _, _, high in self.pieces]
            batch["ridge"] = ridge_windows(self.ridge, spans, batch["y"].shape[1])
        return batch


def _test_pieces(
    segments: Sequence[tuple[int, int]], tests: Sequence[tuple[int, int]]
) -> list[tuple[int, int, int, int]]:
    """Return (context start, start, end, context end) of pieces of the test ranges, evenly chosen if too many."""
    pieces = []
    for test_start, test_end in tests:
        low, high = next((a, b) for a, b in segments if a <= test_start < b)
        for start in range(test_start, test_end, _PIECE):
            end = min(start + _PIECE, test_end)
            pieces.append((max(low, start - _CONTEXT), start, end, min(high, end + _CONTEXT)))
    keep = (
        np.unique(np.linspace(0, len(pieces) - 1, min(len(pieces), _MAX_PIECES)).round().astype(int)) if pieces else []
    )
    return [pieces[index] for index in keep]
