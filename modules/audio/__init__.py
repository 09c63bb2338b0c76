"""Speech features at 50 Hz and pitch."""

from modules.audio.base import SAMPLES_PER_FRAME, SpeechEncoder, build_speech_encoder, fit_to_frames, frames_of
from modules.audio.pitch import coarse_pitch, extract_f0
from modules.audio.stretches import SpeechRows

__all__ = [
    "SAMPLES_PER_FRAME",
    "SpeechEncoder",
    "SpeechRows",
    "build_speech_encoder",
    "coarse_pitch",
    "extract_f0",
    "fit_to_frames",
    "frames_of",
]
