"""Which corpora of talking clips a training uses, and who of them stays out of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from utils.commons.schema import Config, DataError
from utils.data import paths
from utils.data.clip_store import Clip, ClipStore, CorpusManifest


class CorpusConfig(Config):
    """Which corpus of talking clips is used."""

    corpus: str = "lrs3"
    """Name of the corpus, a folder below ``binary_data_dir``; several are joined by '+'."""
    corpus_shares: tuple[float, ...] = ()
    """How often each of several corpora is drawn, in their order; empty: by their length."""
    held_out_speakers: tuple[str, ...] = ()
    """Speakers never trained on; where some are named, validation takes all of their clips and no others."""
    binary_data_dir: str = "data/binary"
    """Folder of processed data, relative to the root."""
    speech_encoder: str = ""
    """Speech features the model is trained on; empty takes those of the corpus."""


class JoinedClips:
    """Random access to chosen clips of several stores, as if they were one."""

    def __init__(
        self, stores: Sequence[ClipStore], chosen: Sequence[tuple[int, int]], shares: Sequence[float] = ()
    ) -> None:
        """Keep the clips ``chosen``, each (number of the store, index in it); ``shares`` has one number a store."""
        self.stores, self.chosen, self.shares = list(stores), list(chosen), list(shares)

    @property
    def manifest(self) -> CorpusManifest:
        """The first corpus's; all have the same speech features."""
        return self.stores[0].manifest

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Clip:
        store, number = self.chosen[index]
        return self.stores[store][number]

    def overview(self) -> tuple[list[str], np.ndarray]:
        """Return the speaker and the number of frames of every clip, without reading the clips' arrays."""
        known = [store.overview() for store in self.stores]
        speakers = [known[store][0][number] for store, number in self.chosen]
        return speakers, np.array([known[store][1][number] for store, number in self.chosen], np.int64)

    def weighted(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the weights [len] of the clips scaled so that each corpus is drawn by its share."""
        if not self.shares:
            return weights
        owner = torch.tensor([store for store, _ in self.chosen])
        scaled = weights.clone()
        for store, share in enumerate(self.shares):
            total = weights[owner == store].sum()
            scaled[owner == store] *= share / total.clamp(min=1e-12)
        return scaled

    def mean_of(self, index: int) -> np.ndarray:
        """Return the neutral shape [68,3], cm, of the speaker of a clip."""
        store, number = self.chosen[index]
        return self.stores[store].speaker_mean(self.stores[store].speaker_of(number))


def open_corpus(config: CorpusConfig, split: str) -> JoinedClips:
    """Return the clips of the configured corpora for a split, ``train`` or ``val``.

    Raises:
        FileNotFoundError: A corpus does not exist; the text tells how to make it.
        DataError: No clip is left, a held-out speaker does not exist, or the corpora hold different speech features.
    """
    root = paths.under_work_root(config.binary_data_dir)
    names = [paths.check_id(name.strip(), what="corpus") for name in config.corpus.split("+")]
    held_out = set(config.held_out_speakers)
    splits = ("train", "val") if held_out and split == "val" else (split,)
    stores = [ClipStore(root / name, part) for name in names for part in splits]
    _check_alike(stores)
    speakers = [store.overview()[0] for store in stores]
    if held_out:
        known = {speaker for store in stores for speaker in store.manifest.speaker_mean}
        if held_out - known:
            raise DataError(
                f"held_out_speakers: corpus {config.corpus} has no {', '.join(sorted(held_out - known))}; "
                f"it has {', '.join(sorted(known))}"
            )
    wanted_held_out = bool(held_out) and split == "val"
    chosen = [
        (store, index)
        for store, names_in_it in enumerate(speakers)
        for index, speaker in enumerate(names_in_it)
        if not held_out or (speaker in held_out) == wanted_held_out
    ]
    if not chosen:
        raise DataError(f"corpus {config.corpus} has no clip in its {split} split; process more clips")
    shares = [share for share in config.corpus_shares for _ in splits]
    if shares and len(shares) != len(stores):
        raise DataError(f"corpus_shares has {len(config.corpus_shares)} numbers for the corpora {config.corpus}")
    return JoinedClips(stores, chosen, shares)


def _check_alike(stores: Sequence[ClipStore]) -> None:
    first = stores[0].manifest
    for store in stores[1:]:
        other = store.manifest
        if (other.speech_encoder, other.speech_dim) != (first.speech_encoder, first.speech_dim):
            raise DataError(
                f"corpora {first.name} and {other.name} hold different speech features ({first.speech_encoder!r} and "
                f"{other.speech_encoder!r}); process them with the same speech_encoder"
            )
