"""A person with a vanilla head and torso as a function: landmarks, speech and camera in, a picture out."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from modules.nerf.bounds import intrinsics_of
from modules.nerf.conditions import Conditions, landmark_conditions
from modules.nerf.fields.vanilla import VanillaHead, VanillaTorso
from modules.nerf.model import to_uint8
from modules.nerf.renderers.base import SpeechWindows
from modules.nerf.renderers.frame_renderer import background_of
from modules.nerf.vanilla_model import compose_vanilla_frame, reference_camera
from modules.pretrained import load_pretrained
from utils.commons.experiment import load_experiment_config, short
from utils.commons.runtime import Runtime
from utils.commons.schema import DataError
from utils.data.person_store import PersonStore


@dataclass(frozen=True)
class VanillaConditions:
    """Conditions of T frames."""

    head: Conditions | Tensor
    """[S,W,C] each."""
    torso: Conditions | Tensor | None
    """[S,W,C] each, of speech, if there is a torso."""


class VanillaRenderer:
    """Render frames of one person; deterministic, no jitter, full precision."""

    def __init__(
        self,
        head: VanillaHead,
        torso: VanillaTorso | None,
        store: PersonStore,
        *,
        runtime: Runtime,
        image_size: int | None = None,
    ) -> None:
        """Take trained networks and the person they belong to; ``image_size`` is the height of the pictures."""
        self.head, self.torso, self.runtime = head, torso, runtime
        self._speech: SpeechWindows | None = None
        self.camera = intrinsics_of(store, image_size)
        background = torch.from_numpy(background_of(store, self.camera).copy())
        self.background = background.to(runtime.device).float() / 255
        self.mean, self.std = torch.from_numpy(store.lm3d_mean), torch.from_numpy(store.lm3d_std)
        self.reference = reference_camera(store).to(runtime.device)

    @classmethod
    def from_experiments(
        cls,
        head_work_dir: Path,
        torso_work_dir: Path | None,
        store: PersonStore,
        *,
        device: str = "auto",
        image_size: int | None = None,
    ) -> Self:
        """Load the newest checkpoints of a head and, if given, of a torso.

        Raises:
            DataError: The torso is of another kind than the head.
        """
        runtime = Runtime.create(device, amp="off")
        head, _, _ = load_pretrained(VanillaHead, head_work_dir, child="head", device=runtime.device)
        torso = None
        if torso_work_dir is not None:
            if not is_vanilla(torso_work_dir):
                raise DataError(
                    f"{short(torso_work_dir)} is no vanilla torso, as {short(head_work_dir)} needs; train one with "
                    "--hparams field=vanilla, or show the head alone: torso_work_dir=none"
                )
            torso, _, _ = load_pretrained(VanillaTorso, torso_work_dir, child="torso", device=runtime.device)
        return cls(head, torso, store, runtime=runtime, image_size=image_size)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.camera.height, self.camera.width

    @property
    def speech_kinds(self) -> set[str]:
        """Kinds of speech features that are needed: ``speech``, ``deepspeech`` or none."""
        kinds = {self.head.config.cond_speech} if self.head.config.cond_type == "speech" else set()
        return kinds | ({self.torso.config.torso_cond_speech} if self.torso is not None else set())

    @property
    def lips_need_speech(self) -> bool:
        """Whether the head is driven by speech and not by landmarks."""
        return self.head.config.cond_type == "speech"

    def speaking(self, speech: SpeechWindows) -> Self:
        """Return this renderer with the speech of the frames to render."""
        bound = copy.copy(self)
        bound._speech = speech
        return bound

    def conditions(self, lm3d: np.ndarray | Tensor) -> VanillaConditions:
        """Return the conditions of a landmark sequence [T,68,3] in cm (absolute, pose removed) and its speech."""
        config = self.head.config
        if self.lips_need_speech:
            head = self._windows(config.cond_speech, config.cond_win_size, config.smo_win_size)
        else:
            points = torch.as_tensor(np.array(lm3d, np.float32))
            head = landmark_conditions(
                points, self.mean, self.std, window=config.cond_win_size, smoothing=config.smo_win_size
            )
        torso = None
        if self.torso is not None:
            body = self.torso.config
            torso = self._windows(body.torso_cond_speech, body.torso_cond_win_size, body.torso_smo_win_size)
        return VanillaConditions(head, torso)

    def _windows(self, kind: str, window: int, smoothing: int) -> Conditions | Tensor:
        if self._speech is None:
            raise DataError("this person's renderer needs to hear the speech; call speaking(...) first")
        return self._speech(kind, window, smoothing)

    @torch.inference_mode()
    def render(self, conditions: VanillaConditions, t: int, c2w: np.ndarray | Tensor) -> np.ndarray:
        """Return frame ``t`` seen by the camera ``c2w`` [4,4], uint8 [H,W,3]."""
        device = self.runtime.device
        picture = compose_vanilla_frame(
            self.head,
            self.torso,
            cond=conditions.head[t].to(device),
            speech=None if conditions.torso is None else conditions.torso[t].to(device),
            c2w=torch.as_tensor(np.array(c2w, np.float32)).to(device),
            reference=self.reference,
            camera=self.camera,
            background=self.background,
        )
        return to_uint8(picture).cpu().numpy()


def is_vanilla(work_dir: Path) -> bool:
    """Return whether an experiment is a vanilla head or torso."""
    return load_experiment_config(work_dir).get("field") == "vanilla"
