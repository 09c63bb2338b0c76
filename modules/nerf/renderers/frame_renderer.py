"""A trained person as a function: landmarks (or speech) and camera in, a picture out. Inference renders through it."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import torch
from torch import Tensor

from modules.nerf.backends.base import Backend, Scene
from modules.nerf.backends.choice import TRUTH, build_backend, fastest_backend
from modules.nerf.bounds import intrinsics_of
from modules.nerf.conditions import Conditions
from modules.nerf.model import HeadModel, TorsoModel
from modules.nerf.renderers.base import SpeechWindows
from modules.nerf.super_resolution import TIERS, SuperResolution
from modules.pretrained import load_pretrained
from utils.commons.runtime import Runtime
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore
from utils.geometry.cameras import Intrinsics


class FrameRenderer:
    """Render frames of one person; deterministic, no jitter, the same code path as validation in training."""

    def __init__(
        self,
        head: HeadModel,
        torso: TorsoModel | None,
        *,
        background: np.ndarray,
        camera: Intrinsics,
        runtime: Runtime,
        backend: str = TRUTH,
        tier: str = "full",
        sr: SuperResolution | None = None,
    ) -> None:
        """Take trained networks.

        Args:
            head: The head.
            torso: The torso, or none for a head before the background.
            background: Clean background of the picture size wanted, uint8 [H,W,3].
            camera: Intrinsics of that size.
            runtime: Device and precision.
            backend: Name of what draws; ``auto`` measures at the first frame.
            tier: ``full``, ``fast`` (half the size, enlarged by ``sr``) or ``preview`` (a quarter, interpolated).
            sr: The network that enlarges.
        """
        self.head, self.camera, self.runtime = head, camera, runtime
        self._speech: SpeechWindows | None = None
        threads = torch.get_num_threads()
        self.scene = Scene(
            head,
            torso,
            background,
            camera,
            amp=runtime.amp,
            threads=threads,
            scale=TIERS[tier],
            sr=sr if tier == "fast" else None,
        )
        self.state_seconds = 0.0
        """Time from the condition to the field's state in the last frame."""
        self.backend: Backend | None = None if backend == "auto" else build_backend(backend, self.scene)

    @classmethod
    def from_experiments(
        cls,
        head_work_dir: Path,
        torso_work_dir: Path | None,
        store: PersonStore,
        *,
        device: str = "auto",
        amp: str = "auto",
        image_size: int | None = None,
        backend: str = TRUTH,
        tier: str = "full",
        sr_work_dir: Path | None = None,
    ) -> Self:
        """Load the newest checkpoints of a head and, if given, of a torso.

        Args:
            head_work_dir: Experiment of the head.
            torso_work_dir: Experiment of the torso, or none.
            store: The person; gives camera and background.
            device: ``auto``, ``cpu`` or ``cuda:N``.
            amp: Precision, ``auto`` measures.
            image_size: Height of the picture; the stored one when absent.
            backend: Name of what draws.
            tier: ``full``, ``fast`` or ``preview``.
            sr_work_dir: Experiment of the network that enlarges; only the fast tier needs it.
        """
        runtime = Runtime.create(device, amp=amp)
        head, _, _ = load_pretrained(HeadModel, head_work_dir, child="head", device=str(runtime.device))
        torso = None
        if torso_work_dir is not None:
            torso, _, _ = load_pretrained(TorsoModel, torso_work_dir, child="torso", device=str(runtime.device))
        sr = None
        if tier == "fast" and sr_work_dir is not None:
            sr, _, _ = load_pretrained(SuperResolution, sr_work_dir, child="sr", device=str(runtime.device))
        camera = intrinsics_of(store, image_size)
        background = background_of(store, camera)
        return cls(
            head, torso, background=background, camera=camera, runtime=runtime, backend=backend, tier=tier, sr=sr
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.camera.height, self.camera.width

    @property
    def lips_need_speech(self) -> bool:
        """Whether the head is driven by speech and not by landmarks."""
        return self.head.config.cond_type == "speech"

    @property
    def speech_kinds(self) -> set[str]:
        """Kinds of speech features that are needed: ``speech``, ``deepspeech`` or none."""
        return {self.head.config.cond_speech} if self.lips_need_speech else set()

    def speaking(self, speech: SpeechWindows) -> Self:
        """Return this renderer with the speech of the frames to render."""
        bound = copy.copy(self)
        bound._speech = speech
        return bound

    def conditions(self, lm3d: np.ndarray | Tensor) -> Conditions | Tensor:
        """Return the conditions [S,W,204] of a landmark sequence [T,68,3] in cm (absolute, pose removed).

        For a head that hears speech they are those of the speech it is bound to, [S,W,C].
        """
        if self.lips_need_speech:
            return self._heard()
        landmarks = _float_tensor(lm3d)
        if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 3) or len(landmarks) == 0:
            raise ValueError(f"lm3d must be [T,68,3] with at least one frame, got {list(landmarks.shape)}")
        return self.head.conditions(landmarks.to(self.runtime.device))

    def _heard(self) -> Conditions | Tensor:
        if self._speech is None:
            raise DataError("this person's head needs to hear the speech; call speaking(...) first")
        config = self.head.config
        return self._speech(config.cond_speech, config.cond_win_size, config.smo_win_size)

    @torch.inference_mode()
    def render(self, conditions: Conditions | Tensor, t: int, c2w: np.ndarray | Tensor) -> np.ndarray:
        """Return frame ``t`` seen by the camera ``c2w`` [4,4], uint8 [H,W,3]."""
        start = time.perf_counter()
        matrix = _float_tensor(c2w).to(self.runtime.device)
        with self.runtime.autocast():
            state = self.head.frame(conditions[t][None].to(self.runtime.device))
        self.state_seconds = time.perf_counter() - start
        if self.backend is None:
            self.backend = fastest_backend(self.scene, state, matrix)
        return self.backend.draw(state, matrix)


def background_of(store: PersonStore, camera: Intrinsics) -> np.ndarray:
    """Return the person's clean background in the size of ``camera``, uint8 [H,W,3]."""
    background = store.background
    if background.shape[:2] == (camera.height, camera.width):
        return background
    method = cv2.INTER_AREA if camera.height < len(background) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(background, (camera.width, camera.height), interpolation=method))


def _float_tensor(values: np.ndarray | Tensor) -> Tensor:
    """Return float32 numbers; arrays are copied, they may be read-only maps."""
    return values.float() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float32))
