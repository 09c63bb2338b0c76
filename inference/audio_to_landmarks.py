"""Speech to a person's landmarks: encoder, generic VAE, the person's postnet.

``infer_out/<id>/pred_lm3d/<wav>.npy`` keeps the original's layout: f32 [1,T,204], deviations from the person's mean in
cm, before any filter, T the video frames of the sound.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from inference.config import InferConfig
from modules.audio import SpeechRows, build_speech_encoder, extract_f0, frames_of
from modules.audio2motion.model import STRIDE, Audio2MotionVAE
from modules.audio2motion.windowed import context_frames, draw_latents, infer_windowed
from modules.postnet.model import PostNet
from modules.pretrained import load_pretrained
from utils.commons.checkpoint import load_best
from utils.commons.experiment import load_experiment_config, short
from utils.commons.runtime import pick_device, seeded_generator
from utils.commons.schema import DataError
from utils.data.atomic import save_npy
from utils.data.clip_motion import SpeechKind, check_same_speech, speech_of_experiment
from utils.data.paths import under_work_root
from utils.data.person_store import PersonStore

logger = logging.getLogger(__name__)

_VAE_SALT = 0xA2
_STRETCH = 6000
"""Frames predicted at once (four minutes), without their context; a multiple of 4. An hour needs no more memory."""
_POSTNET_REACH = 16
"""Frames to each side that may matter to the postnet, and more; a multiple of 4."""


class SpeechToMotion:
    """The trained chain from sound to a person's landmark deviations."""

    def __init__(self, config: InferConfig, store: PersonStore) -> None:
        """Load encoder, VAE and postnet.

        Raises:
            FileNotFoundError: An experiment is missing; the text tells how to train it.
            DataError: Models, dataset and encoder do not belong together.
        """
        manifest = store.manifest
        data = SpeechKind(f"dataset {manifest.video_id}", manifest.speech_encoder, manifest.speech_dim)
        values = load_experiment_config(config.postnet_dir)
        vae_dir = under_work_root(str(values["audio2motion_work_dir"]))
        check_same_speech(data, speech_of_experiment(str(vae_dir)))
        self.config = config
        wish = config.infer_temperature
        self.temperature = float(values.get("infer_temperature", 0.0)) if wish is None else wish
        self.device = pick_device(config.device)
        steps = int(values.get("audio2motion_ckpt_steps", 0))
        self.vae, _, vae_step = load_pretrained(Audio2MotionVAE, vae_dir, ckpt_steps=steps, device=self.device)
        logger.info("audio2motion: %s @ %d", short(vae_dir), vae_step)
        self.postnet = self._load_postnet(config) if config.infer_use_postnet else None
        trained_with = str(values.get("hubert_path", ""))
        self.encoder = build_speech_encoder(manifest.speech_encoder, hubert_path=hubert_path(config) or trained_with)
        if self.encoder.dim != manifest.speech_dim:
            raise DataError(
                f"speech encoder {manifest.speech_encoder!r} gives {self.encoder.dim} channels, the dataset has "
                f"{manifest.speech_dim}; process the video again"
            )

    def _load_postnet(self, config: InferConfig) -> PostNet:
        best = load_best(config.postnet_dir)  # adversarial training wanders: the newest step need not be a good one
        steps = config.postnet_ckpt_steps or (best.step if best else 0)
        postnet, _, step = load_pretrained(
            PostNet, config.postnet_dir, ckpt_steps=steps, child=POSTNET_CHILD, device=self.device
        )
        logger.info("postnet: %s @ %d", short(config.postnet_dir), step)
        return postnet

    def deviations(self, wav: np.ndarray) -> np.ndarray:
        """Return landmark deviations [T,68,3] in cm of a sound [N] at 16 kHz, T = frames_of(N)."""
        hears_pitch = self.postnet is not None and self.postnet.config.postnet_use_pitch
        f0 = extract_f0(wav) if self.vae.config.use_pitch or hears_pitch else None
        return self._in_stretches(SpeechRows(self.encoder, wav), f0, frames_of(len(wav)))

    def from_features(self, speech: np.ndarray, f0: np.ndarray | None, num_frames: int) -> np.ndarray:
        """Return landmark deviations [T,68,3] in cm of speech features [2T,C] and, for pitch models, f0 [2T]."""
        return self._in_stretches(lambda first, stop: speech[2 * first : 2 * stop], f0, num_frames)

    def _in_stretches(
        self, rows: Callable[[int, int], np.ndarray], f0: np.ndarray | None, num_frames: int
    ) -> np.ndarray:
        """Return deviations [T,68,3]; all networks see some frames to each side only, so stretches have no seams.

        Args:
            rows: Gives the speech features [2n,C] of a range of frames.
            f0: [2T] Hz, where a model hears it.
            num_frames: T.
        """
        generator = seeded_generator(self.config.seed, _VAE_SALT)
        latents = draw_latents(self.vae, 1, num_frames, self.temperature, generator)
        context = context_frames(self.vae.config) + _POSTNET_REACH
        found = np.empty((num_frames, 68, 3), np.float32)
        for start in range(0, num_frames, _STRETCH):
            stop = min(start + _STRETCH, num_frames)
            low, high = max(0, start - context), min(num_frames, stop + context)
            noise = latents[:, :, low // STRIDE : -(-high // STRIDE)]
            motion = self._predict(rows(low, high), None if f0 is None else f0[2 * low : 2 * high], noise)
            found[start:stop] = motion[start - low : stop - low]
        return found

    @torch.inference_mode()
    def _predict(self, speech: np.ndarray, f0: np.ndarray | None, latents: torch.Tensor) -> np.ndarray:
        features = self._batch(speech)
        pitch = None if f0 is None else self._batch(f0)
        motion = infer_windowed(self.vae, features, f0=pitch if self.vae.config.use_pitch else None, latents=latents)
        if self.postnet is not None:
            mask = torch.ones(1, motion.shape[1], device=self.device)
            motion = self.postnet(motion, mask, features, f0=pitch)
        return motion[0].float().cpu().numpy().reshape(-1, 68, 3)

    def _batch(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(array, np.float32))[None].to(self.device)


def hubert_path(config: InferConfig) -> str:
    """Return where HuBERT's weights are: as configured, else ``checkpoints/hubert`` if it is there, else nothing."""
    local = under_work_root("checkpoints/hubert")
    return config.hubert_path or (str(local) if (local / "config.json").is_file() else "")


POSTNET_CHILD = "generator"
"""Name of the postnet inside its experiment's model; the discriminator lies beside it."""


def save_landmarks(path: Path, deviations: np.ndarray) -> None:
    """Write deviations [T,68,3] as f32 [1,T,204]."""
    save_npy(path, deviations.reshape(1, len(deviations), 204).astype(np.float32))


def load_landmarks(path: Path) -> np.ndarray:
    """Return deviations [T,68,3] from a file of :func:`save_landmarks`.

    Raises:
        FileNotFoundError: No such file; the text tells how to make it.
        DataError: It holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no landmarks in {short(path)}; make them first: bash scripts/infer_postnet.sh")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{short(path)} is no npy file ({error}); make it again: bash scripts/infer_postnet.sh"
        ) from error
    if array.ndim != 3 or array.shape[0] != 1 or array.shape[1] < 1 or array.shape[2] != 204:
        raise DataError(f"{short(path)} must hold landmarks [1,T,204], got {list(array.shape)}")
    return array[0].reshape(-1, 68, 3).astype(np.float32)
