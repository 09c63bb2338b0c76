"""What can be chosen when a person's video or a corpus of clips is processed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from utils.commons.schema import Config
from utils.data.paths import check_id


class FeatureConfig(Config):
    """Choices shared by videos and corpora."""

    speech_encoder: str = "moonshine+mel"
    """Speech features: moonshine, mel, hubert, or several joined by '+'. All models that work together need the
    same."""
    hubert_path: str = ""
    """Local folder or hub id of HuBERT weights; empty takes facebook/hubert-large-ls960-ft."""
    landmarker: str = "mediapipe"
    """Face landmarks: mediapipe, or face_alignment if installed."""
    focal_factor: float = Field(default=4.0, gt=0.5)
    """Focal length over picture height; it cannot be observed in talking heads, so it is fixed."""
    num_workers: int = Field(default=0, ge=0)
    """Processes working in parallel; 0 takes all cores."""


class ProcessConfig(FeatureConfig):
    """Processing of one person's video."""

    video_id: str
    """Names the person everywhere: data/*/videos/<video_id>, checkpoints/<video_id>, infer_out/<video_id>."""
    image_size: int = Field(default=512, ge=64, le=2048, multiple_of=2)
    """Width and height of the pictures trained on and rendered."""
    segmenter: str = "mediapipe"
    """Separates head, torso and background: mediapipe, or bisenet with the weights of the public face parser."""
    segmenter_weights: str = ""
    """Weight file of bisenet (79999_iter.pth)."""
    tracker: Literal["morphable", "rigid"] = "morphable"
    """What is fitted to the landmarks: the open morphable head (one identity, expressions apart from the pose), or a
    mean shape of the person's own moved as one rigid piece."""
    pose_refine: Literal["none", "photometric"] = "photometric"
    """Head poses from landmarks alone, or then refined by aligning the pictures: the still part of the face, then all
    that is seen of the head."""
    landmark_smoothing: int = Field(default=5, ge=1, le=15)
    """Frames (odd) around each one to which a parabola is fitted, against the landmarker's noise; 1 = none."""
    crop: Literal["auto", "always", "never"] = "auto"
    """'auto' keeps a square video whose face is 35-65 % of its height; 'never' takes the middle square."""
    crop_scale: float = Field(default=2.4, ge=1.5, le=5)
    """Side of the crop over the height of the face, forehead to chin."""
    crop_center: float = Field(default=0.46, ge=0.2, le=0.8)
    """Height of the face's middle in the crop, 0 top, 1 bottom: slightly above the middle, for hair above and
    shoulders below."""
    min_duration_s: float = Field(default=6.0, gt=0)
    """Shortest video accepted; good results want minutes."""
    min_face_px: float = Field(default=60.0, gt=0)
    """Smallest face height accepted in the source video, pixels."""
    fix_sync: bool = False
    """Shift the sound by the lag found between lips and sound, instead of only warning."""

    @field_validator("landmark_smoothing")
    @classmethod
    def _has_a_middle(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"landmark_smoothing is an odd number of frames, found {value}")
        return value

    @field_validator("video_id")
    @classmethod
    def _can_name_a_folder(cls, value: str) -> str:
        return check_id(value)
