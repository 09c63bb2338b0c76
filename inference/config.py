"""Configuration of inference (``egs/egs_bases/infer.yaml``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from utils.commons.schema import Config
from utils.data.paths import experiment, under_work_root


class FilterConfig(Config):
    """Post-processing of predicted landmarks; each key drives one function of ``landmark_filters`` or ``blinks``."""

    infer_lm3d_outlier_std: float = Field(default=2.5, ge=0)
    """Frames further than this (rms, in std) from the median of their neighbours are interpolated; 0 = off."""
    infer_calm_bursts: bool = True
    """Smooth stretches in which jaw and mouth tremble more than they ever do in the person's clip."""
    infer_remove_drift: bool = True
    """Take away what carries landmarks slowly further from the mean than they ever are in the person's clip."""
    infer_fit_range: bool = True
    """Draw the mouth back to the person's range where it opens more than 1.2 times as wide throughout."""
    infer_mouth_amplitude: float = Field(default=1.0, ge=0, le=3)
    """Motion of jaw and mouth away from the closed one is multiplied by this: below 1 mumbles, above 1 overacts."""
    infer_limit_opening: bool = True
    """Keep every single frame's mouth within 1.1 times the widest (99.5 %) of the person's clip."""
    infer_lm3d_clamp_std: float = Field(default=3.0, ge=0)
    """Landmarks stay within this many of the person's std (brows and eyes: half of it in x and y); 0 = off."""
    infer_lm3d_lle_percent: float = Field(default=0.0, ge=0, le=1)
    """Share of jaw, brows, nose and eyes replaced by their projection on the person's 10 nearest frames; 0 = off."""
    infer_lm3d_smooth_sigma: float = Field(default=1.0, ge=0)
    """Gaussian over time for jaw, brows, nose and eyes, in frames; 0 = off."""
    infer_lm3d_smooth_sigma_mouth: float = Field(default=0.0, ge=0)
    """The same for the mouth, kept small: lips must still close for a 'p'; 0 = off."""
    infer_inject_eye_blink_mode: Literal["none", "gt", "period", "natural"] = "natural"
    """Eyelids: as predicted; the clip's along the camera path; one blink repeated; the person's blinks at random."""
    infer_close_mouth_when_sil: bool = True
    """Bring the mouth to rest while nobody speaks."""
    infer_rest_mouth: Literal["own", "closed"] = "own"
    """``own``: still, and no more open than three quarters of the frames in the person's pauses, after a second than a
    quarter of them; ``closed``: to the person's closed mouth in every pause."""
    infer_close_mouth_min_frames: int = Field(default=10, ge=1)
    """Shortest pause in which it rests; in shorter ones people keep the lips ready, and closing would be a twitch."""
    infer_close_mouth_fade_frames: int = Field(default=6, ge=1)
    """Frames over which the mouth comes to rest after speech and leaves it before."""
    infer_close_mouth_lead_frames: int = Field(default=5, ge=0)
    """Frames before speech in which it is free again: lips are ready before they are heard."""


class InferConfig(FilterConfig):
    """Everything between a sound and a talking video."""

    video_id: str = "demo"
    """The person, by the name of the dataset and of the experiments."""
    postnet_work_dir: str = ""
    """Experiment that turns speech into landmarks; empty: ``checkpoints/<video_id>/postnet``."""
    postnet_ckpt_steps: int = Field(default=0, ge=0)
    """Step to load; 0 = the best by validation, or the newest where none is marked."""
    head_work_dir: str = ""
    """Experiment that renders the head; empty: ``checkpoints/<video_id>/lm3d_nerf``."""
    torso_work_dir: str = ""
    """Experiment that renders the torso; empty: ``checkpoints/<video_id>/lm3d_nerf_torso``; ``none``: head only."""
    hubert_path: str = ""
    """Folder or hub id of HuBERT's weights; empty: ``checkpoints/hubert``, else as the post-net says, else the hub."""
    infer_deepspeech: str = ""
    """DeepSpeech features of the sound (npy) for imported torsos; empty: ``<name>_16k_deepspeech.npy`` beside it."""
    infer_use_postnet: bool = True
    """Refine the VAE's landmarks by the person's postnet; false shows the generic model alone."""
    infer_temperature: float | None = Field(default=None, ge=0)
    """Spread of the VAE's draws; 0 gives its most likely motion; absent: as the postnet was validated with."""
    infer_image_size: int = Field(default=0, ge=0)
    """Side of the rendered picture in pixels; 0 = as the dataset."""
    infer_max_frames: int = Field(default=0, ge=0)
    """Stop after this many frames (the sound is cut alike); 0 = all."""
    infer_smo_head_pose: bool = True
    """Smooth the head's path in time."""
    infer_smo_head_pose_win: int = Field(default=7, ge=1)
    """Frames averaged by that smoothing, odd."""
    infer_crf: int = Field(default=18, ge=0, le=51)
    """Quality of the h264 video; smaller is better and larger."""
    sr_work_dir: str = ""
    """Experiment that enlarges heads of the fast tier; empty: ``checkpoints/<video_id>/lm3d_nerf_sr``."""
    tier: Literal["full", "fast", "preview"] = "full"
    """Size at which the head is drawn: the picture's, half of it (enlarged by a network), or a quarter (a draft)."""
    renderer_backend: Literal["auto", "torch", "cpp", "numba"] = "auto"
    """What draws: ``torch`` (the truth), ``cpp`` (compiled at first use), ``numba``, or ``auto``: the fastest here."""
    num_workers: int = Field(default=1, ge=1)
    """Processes that draw the frames of a video; with torchrun its ranks draw instead."""
    seed: int = 9999
    """The same seed, sound and models give the same video."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda:N``."""

    @property
    def postnet_dir(self) -> Path:
        return self._experiment(self.postnet_work_dir, "postnet")

    @property
    def head_dir(self) -> Path:
        return self._experiment(self.head_work_dir, "lm3d_nerf")

    @property
    def torso_dir(self) -> Path | None:
        return None if self.torso_work_dir == "none" else self._experiment(self.torso_work_dir, "lm3d_nerf_torso")

    @property
    def sr_dir(self) -> Path:
        return self._experiment(self.sr_work_dir, "lm3d_nerf_sr")

    def _experiment(self, work_dir: str, task: str) -> Path:
        return under_work_root(work_dir) if work_dir else experiment(f"{self.video_id}/{task}")
