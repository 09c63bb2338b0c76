"""What a SyncNet and synthetic speech say of rendered pictures, whatever drew them: landmarks or the sound itself."""

from __future__ import annotations

import functools
import logging
import tempfile
from pathlib import Path

import numpy as np

from inference.articulation_trial import articulation_row
from inference.landmark_evaluation import load_judge
from inference.landmark_scores import judged_row
from inference.pipeline import TalkingHead
from inference.scoring import Row, Watched, watch
from modules.face.landmarkers.base import Landmarker
from modules.nerf.bounds import intrinsics_of
from modules.syncnet.model import SyncNet
from utils.commons.schema import DataError
from utils.geometry.cameras import Intrinsics
from utils.media.video import read_frames
from utils.metrics.landmark import Pieces

logger = logging.getLogger(__name__)


class VideoJudge:
    """Looks at pictures of one person with a SyncNet trained on other persons."""

    def __init__(self, head: TalkingHead, judge_dir: str) -> None:
        """Load the SyncNet of an experiment; without one (``""``) there is no :meth:`sync`.

        Raises:
            DataError: It was trained on other speech features than the person's dataset holds.
        """
        self.head, self.store = head, head.store
        self.judge: SyncNet | None = load_judge(judge_dir)
        dim = self.store.manifest.speech_dim
        if self.judge is not None and self.judge.config.speech_dim != dim:
            raise DataError(
                f"{judge_dir} hears {self.judge.config.speech_dim} numbers, the dataset of {head.video_id} holds "
                f"{dim}; name a SyncNet trained with the same speech_encoder"
            )

    def sync(self, seen: Watched | None, c2w: np.ndarray, speech: np.ndarray, pieces: Pieces) -> Row:
        """Return ``sync_conf`` and ``sync_offset`` of a video.

        Args:
            seen: Its landmarks, T frames.
            c2w: The head poses it shows, [T,4,4].
            speech: Features of its sound, [2T,C].
            pieces: Contiguous ranges of the T frames.
        """
        if self.judge is None or seen is None:
            return {}
        camera = intrinsics_of(self.store, self.head.renderer.size[0])
        lm3d = without_pose(seen.points, c2w, camera, self.store.lm3d_neutral)
        return judged_row(self.judge, speech, lm3d - self.store.lm3d_neutral, pieces)

    def own(self, seen: Watched | None, frames: np.ndarray, pieces: Pieces) -> Row:
        """Return the figures of frames [T] of the person's own clip, drawn with their true poses."""
        rows = np.stack([2 * frames, 2 * frames + 1], axis=1).ravel()
        return self.sync(seen, np.asarray(self.store.c2w)[frames], np.asarray(self.store.speech)[rows], pieces)

    def foreign(self, seen: Watched | None, speech: np.ndarray) -> Row:
        """Return the figures of a video made from a sound [N] by :meth:`TalkingHead.generate`."""
        if self.judge is None or seen is None:
            return {}
        frames = len(seen.points)
        return self.sync(seen, self.head.path(frames).c2w, self.head.encode(speech)[: 2 * frames], [(0, frames)])

    def articulation(self, landmarker: Landmarker) -> Row:
        """Return ``artic_*`` as seen in videos of the synthetic speech: a minute of video is drawn and thrown away."""
        with tempfile.TemporaryDirectory() as folder:
            return articulation_row(functools.partial(self._spoken, Path(folder) / "spoken.mp4", landmarker))

    def _spoken(self, video: Path, landmarker: Landmarker, wav: np.ndarray) -> np.ndarray:
        seen = watch(read_frames(self.head.generate(wav, video)), landmarker)
        if seen is None:
            raise DataError(f"no face is seen in videos of {self.head.video_id}: articulation cannot be measured")
        return seen.points


def without_pose(points: np.ndarray, c2w: np.ndarray, camera: Intrinsics, neutral: np.ndarray) -> np.ndarray:
    """Return landmarks [T,68,3] in cm of head coordinates: where the rays through their pixels reach the neutral depth.

    Args:
        points: Pixels of a picture of ``camera``, [T,68,2].
        c2w: Head poses, [T,4,4].
        camera: The camera.
        neutral: The person's mean landmarks, [68,3] cm; they give the depth under each pose.
    """
    rotation, place = c2w[:, :3, :3].astype(np.float64), c2w[:, None, :3, 3].astype(np.float64)
    depth = -((neutral / 100 - place) @ rotation)[..., 2]
    x = (points[..., 0] - camera.cx) / camera.focal * depth
    y = -(points[..., 1] - camera.cy) / camera.focal * depth
    seen = np.stack([x, y, -depth], axis=-1)
    return np.asarray(100 * (place + seen @ np.swapaxes(rotation, 1, 2)))
