"""What can be chosen when a corpus of clips is processed."""

from __future__ import annotations

from pydantic import Field

from data_gen.videos.config import FeatureConfig


class CorpusConfig(FeatureConfig):
    """Processing of a corpus: ``<speaker>/<clip>.mp4``."""

    min_frames: int = Field(default=25, ge=2)
    """Shorter clips, in frames at 25 fps, are left out."""
    min_face_share: float = Field(default=0.9, gt=0, le=1)
    """Clips in which a face is found in a smaller share of the frames are left out."""
    augment_copies: int = Field(default=0, ge=0)
    """Versions of every training clip with altered sound (room, noise, band, speed), written to <corpus>_augmented."""
    val_every: int = Field(default=10, ge=2)
    """One clip in so many, chosen by a hash of its name, is kept for validation."""
