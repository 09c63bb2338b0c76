"""HuBERT features through ``transformers`` (specification 2.11), from a local folder or a hub id the user names."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from modules.audio.base import HOP, fit_to_frames
from utils.commons.schema import ConfigError

_CHUNK, _OVERLAP = 320_000, 80
"""20 s, and the samples by which the receptive field (400) exceeds the hop (320): exactly 1000 rows a chunk."""
_MIN_SAMPLES = 400


class HubertEncoder:
    """The last hidden state of a HuBERT; 1024 wide for ``facebook/hubert-large-ls960-ft``."""

    name = "hubert"
    reach_s: int | None = None
    """It normalises the whole utterance."""

    def __init__(self, model_path: str = "facebook/hubert-large-ls960-ft", device: str = "cpu") -> None:
        self.model_path, self.device = model_path, device
        self._model = _load(model_path).to(device)
        self.dim = int(self._model.config.hidden_size)

    @torch.no_grad()
    def encode(self, wav: np.ndarray) -> np.ndarray:
        """Return features [2T,dim] f32."""
        wav = fit_to_frames(wav)
        num_rows = len(wav) // HOP
        wav = (wav - wav.mean()) / np.sqrt(wav.var() + 1e-7)  # the whole utterance, before it is cut into chunks
        chunks = [wav[start : start + _CHUNK + _OVERLAP] for start in range(0, len(wav), _CHUNK)]
        parts = [self._encode_chunk(chunk) for chunk in chunks if len(chunk) >= _MIN_SAMPLES]
        rows = np.concatenate(parts)[:num_rows]
        return np.pad(rows, ((0, num_rows - len(rows)), (0, 0)), mode="edge")

    def _encode_chunk(self, chunk: np.ndarray) -> np.ndarray:
        states = self._model(torch.from_numpy(chunk)[None].to(self.device)).last_hidden_state[0]
        return np.asarray(states.float().cpu().numpy())


def _load(model_path: str) -> Any:
    try:
        from transformers import HubertModel
    except ImportError as error:
        raise ConfigError(
            "speech_encoder 'hubert' needs transformers: pip install -r requirements-extra.txt"
        ) from error
    try:
        return HubertModel.from_pretrained(model_path).eval()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no HuBERT weights in {model_path!r} ({str(error).splitlines()[0]}); "
            "set hubert_path to a local folder or a hub id, or use speech_encoder=moonshine+mel"
        ) from error
