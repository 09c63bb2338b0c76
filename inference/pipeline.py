"""A person who says what is given: the Python interface of inference.

    head = TalkingHead("demo")
    head.generate(Path("speech.mp3"), Path("out.mp4"))

Models are loaded when first needed and kept.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from inference.audio_to_landmarks import SpeechToMotion, hubert_path
from inference.camera_path import CameraPath, camera_path
from inference.config import InferConfig
from inference.landmark_filters import apply_filters
from inference.person_motion import PersonMotion, person_motion
from inference.render_video import render_video
from inference.sharing import frames_from_processes
from inference.streaming import LandmarkStream
from inference.vanilla_speech import clip_windows, find_deepspeech, speech_windows
from inference.voice_activity import speech_activity
from modules.audio import SAMPLES_PER_FRAME, build_speech_encoder
from modules.nerf.renderers.base import HearingRenderer
from modules.nerf.renderers.frame_renderer import FrameRenderer
from modules.nerf.renderers.vanilla_renderer import VanillaRenderer, is_vanilla
from utils.commons.checkpoint import latest_step
from utils.commons.experiment import how_to_train, short
from utils.commons.schema import ConfigError, DataError
from utils.data.paths import binary_video, work_root
from utils.data.person_store import PersonStore
from utils.media.audio import load_wav

logger = logging.getLogger(__name__)

_STREAM_MEMORY = 24
"""Frames before the new ones that conditions may look back at."""
_STREAM_POSES = 1500

_FULL_SCALE, _MOST_CLIPPED = 0.999, 0.01


_ORIGINAL_SURPLUS = 4
"""Frames by which landmarks of the original program may be longer than their sound."""


class TalkingHead:
    """One trained person."""

    def __init__(self, video_id: str = "", *, config: InferConfig | None = None) -> None:
        """Open the person's dataset.

        Args:
            video_id: The person; empty: the one of ``config``.
            config: Everything else; absent: the defaults.

        Raises:
            FileNotFoundError: There is no such person; the text lists those there are.
        """
        config = config or InferConfig()
        self.config = config.model_copy(update={"video_id": video_id}) if video_id else config
        self.video_id = self.config.video_id
        self.store = open_person(self.video_id)

    @functools.cached_property
    def motion(self) -> SpeechToMotion:
        """The models from speech to landmarks."""
        self.check_experiments(renderer=False)
        return SpeechToMotion(self.config, self.store)

    @functools.cached_property
    def renderer(self) -> HearingRenderer:
        """The models from landmarks to pictures."""
        self.check_experiments(motion=False)
        config = self.config
        if is_vanilla(config.head_dir):
            return VanillaRenderer.from_experiments(
                config.head_dir,
                config.torso_dir,
                self.store,
                device=config.device,
                image_size=config.infer_image_size or None,
            )
        return FrameRenderer.from_experiments(
            config.head_dir,
            config.torso_dir,
            self.store,
            device=config.device,
            image_size=config.infer_image_size or None,
            backend=config.renderer_backend,
            tier=config.tier,
            sr_work_dir=config.sr_dir,
        )

    @functools.cached_property
    def person(self) -> PersonMotion:
        """The person's statistics the filters use."""
        return person_motion(self.store)

    def check_experiments(self, *, motion: bool = True, renderer: bool = True) -> None:
        """Pass if all trained models are there.

        Raises:
            FileNotFoundError: Names the first that is missing and how to train it.
        """
        config = self.config
        folders = [config.postnet_dir] * motion + [config.head_dir, config.torso_dir] * renderer
        folders += [config.sr_dir] * (renderer and config.tier == "fast")
        for folder in folders:
            if folder is not None and latest_step(folder) is None:
                raise FileNotFoundError(f"no checkpoint in {short(folder)}; train it first: {how_to_train(folder)}")

    def landmarks(self, wav: Path | np.ndarray) -> np.ndarray:
        """Return deviations [T,68,3] in cm from the person's mean, as the models predict them, for a sound.

        Args:
            wav: A media file, or sound at 16 kHz [N].
        """
        return self.motion.deviations(self.load_speech(wav))

    def generate(self, wav: Path | np.ndarray, out: Path) -> Path:
        """Write an mp4 of the person saying ``wav`` and return its path."""
        self.check_experiments()
        return self.render(self.landmarks(wav), wav, out)

    def render(self, deviations: np.ndarray, wav: Path | np.ndarray, out: Path) -> Path:
        """Write an mp4 of landmark deviations [T,68,3] (cm, before filters) with a sound.

        Raises:
            DataError: Landmarks and sound differ by more than a tenth of a second.
        """
        speech = self.load_speech(wav)
        if self.config.infer_max_frames:
            deviations = deviations[: self.config.infer_max_frames]
        frames = round(len(speech) / SAMPLES_PER_FRAME)
        if frames < len(deviations) <= frames + _ORIGINAL_SURPLUS:
            deviations = deviations[:frames]
        if abs(frames - len(deviations)) > 2:
            raise DataError(
                f"the landmarks have {len(deviations)} frames, the sound {frames}; predict them anew for this sound"
            )
        path = self.path(len(deviations))
        lm3d = self.filtered(deviations, speech, path)
        cut = self.config.infer_max_frames > 0
        renderer = self._renderer_of(speech, path, wav if isinstance(wav, Path) else None)
        shared = self.config.num_workers > 1 and not is_vanilla(self.config.head_dir) and not renderer.speech_kinds
        return render_video(
            renderer,
            lm3d,
            path.c2w,
            out,
            audio=speech if cut or isinstance(wav, np.ndarray) else wav,
            crf=self.config.infer_crf,
            frames=frames_from_processes(self.config, lm3d, path.c2w) if shared else None,
        )

    def _renderer_of(self, speech: np.ndarray, path: CameraPath, sound: Path | None) -> HearingRenderer:
        """Return the renderer; where it follows speech, it hears this one [N], or the features beside its file."""
        renderer = self.renderer
        if not renderer.speech_kinds:
            return renderer
        deepspeech = find_deepspeech(sound, self.config.infer_deepspeech)
        encode = functools.partial(self.encode, speech)
        windows = speech_windows(renderer, self.store, encode, deepspeech=deepspeech, frames=path.frames)
        return renderer.speaking(windows)

    def clip_renderer(self, frames: np.ndarray) -> HearingRenderer:
        """Return the renderer for frames [T] of the person's own clip."""
        renderer = self.renderer
        return renderer.speaking(clip_windows(self.store, frames)) if renderer.speech_kinds else renderer

    def encode(self, speech: np.ndarray) -> np.ndarray:
        """Return the dataset's kind of speech features [2T,C] of a sound [N] at 16 kHz."""
        manifest = self.store.manifest
        return build_speech_encoder(manifest.speech_encoder, hubert_path=hubert_path(self.config)).encode(speech)

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield pictures uint8 [H,W,3] at 25 fps while sound arrives in pieces [n] at 16 kHz, 0.2 s behind it.

        Raises:
            ConfigError: The head is a vanilla one, which cannot keep pace, or follows speech instead of landmarks.
        """
        self.check_experiments()
        renderer = self.renderer
        if isinstance(renderer, VanillaRenderer):
            raise ConfigError(f"{short(self.config.head_dir)} holds a vanilla head, which is too slow for a stream")
        if renderer.lips_need_speech:
            raise ConfigError(f"{short(self.config.head_dir)} holds a head that hears whole sounds; use generate")
        stream = LandmarkStream(self.motion, self.person, self.store, self.config)
        shown, poses, count = np.zeros((0, 68, 3), np.float32), self.path(_STREAM_POSES).c2w, 0
        for fresh in stream.follow(chunks):
            shown = np.concatenate([shown, fresh])[-_STREAM_MEMORY - len(fresh) :]
            conditions = renderer.conditions(shown)
            for t in range(len(shown) - len(fresh), len(shown)):
                poses = poses if count < len(poses) else self.path(2 * count).c2w
                yield renderer.render(conditions, t, poses[count])
                count += 1

    def filtered(self, deviations: np.ndarray, speech: np.ndarray, path: CameraPath) -> np.ndarray:
        """Return absolute landmarks [T,68,3] in cm after the filters of the configuration."""
        std, mean = self.store.lm3d_std, self.store.lm3d_mean
        normalized = apply_filters(
            (deviations + (self.store.lm3d_neutral - mean)) / std,
            self.person,
            self.config,
            speaking=speech_activity(speech, len(deviations)),
            path_frames=path.frames,
            seed=self.config.seed,
        )
        return (normalized * std + mean).astype(np.float32)

    def path(self, num_frames: int) -> CameraPath:
        """Return head poses for a video of ``num_frames``."""
        window = self.config.infer_smo_head_pose_win if self.config.infer_smo_head_pose else 1
        return camera_path(self.store.c2w, self.store.manifest.segments, num_frames, smooth_win=window)

    def load_speech(self, wav: Path | np.ndarray) -> np.ndarray:
        """Return sound at 16 kHz [N], cut at ``infer_max_frames``."""
        speech = np.asarray(wav, np.float32) if isinstance(wav, np.ndarray) else load_wav(wav)
        if not len(speech):
            raise DataError("the sound is 0 s long; give a recording with speech")
        clipped = np.count_nonzero((speech >= _FULL_SCALE) | (speech <= -_FULL_SCALE)) / len(speech)
        if clipped > _MOST_CLIPPED:
            logger.warning(
                "%.0f %% of the sound is clipped; lips follow better if it is recorded softer", 100 * clipped
            )
        most = self.config.infer_max_frames
        return speech[: most * SAMPLES_PER_FRAME] if most else speech


def open_person(video_id: str) -> PersonStore:
    """Return the dataset of a person.

    Raises:
        FileNotFoundError: There is none; the text lists those there are.
    """
    folder = binary_video(video_id)
    if not (folder / "manifest.json").exists():
        root = work_root() / "data" / "binary" / "videos"
        known = sorted(path.parent.name for path in root.glob("*/manifest.json"))
        listed = f"there are: {', '.join(known)}" if known else "there is none yet"
        raise FileNotFoundError(
            f"no dataset of {video_id!r} ({listed}); make it first: bash scripts/process_video.sh {video_id}"
            ", or bring that of the original: python scripts/import_geneface.py --dataset trainval_dataset.npy"
        )
    return PersonStore(folder)
