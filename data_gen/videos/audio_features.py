"""Speech features and pitch of a clip's sound, 50 rows a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from data_gen.stages import Progress
from data_gen.videos.config import ProcessConfig
from modules.audio import SAMPLES_PER_FRAME, build_speech_encoder, extract_f0
from utils.data.atomic import save_json, save_npy
from utils.media.audio import load_wav


def run(config: ProcessConfig, processed_dir: Path, out_dir: Path, progress: Progress) -> None:
    """Write ``speech.npy`` [2T,C] f16, ``f0.npy`` [2T] f32 and ``audio_features.json``."""
    wav = clip_audio(processed_dir)
    encoder = build_speech_encoder(config.speech_encoder, hubert_path=config.hubert_path)
    save_npy(out_dir / "speech.npy", encoder.encode(wav).astype(np.float16))
    save_npy(out_dir / "f0.npy", extract_f0(wav))
    save_json(out_dir / "audio_features.json", {"speech_encoder": config.speech_encoder, "speech_dim": encoder.dim})


def clip_audio(processed_dir: Path) -> np.ndarray:
    """Return the clip's sound [N] f32 at 16 kHz, shifted where the sync check was told to mend it."""
    wav = load_wav(processed_dir / "ingest" / "audio.wav")
    check = json.loads((processed_dir / "sync_check" / "sync_check.json").read_text(encoding="utf-8"))
    return shift_sound(wav, int(check["shift_frames"]))


def shift_sound(wav: np.ndarray, num_frames: int) -> np.ndarray:
    """Return ``wav`` [N] delayed by ``num_frames`` video frames (advanced if negative), filled with silence."""
    samples = int(np.clip(num_frames * SAMPLES_PER_FRAME, -len(wav), len(wav)))
    if samples >= 0:
        return np.pad(wav[: len(wav) - samples], (samples, 0))
    return np.pad(wav[-samples:], (0, -samples))
