"""The models shipped with the code: small, found by their name, and better than chance on a voice they never heard."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_gen.corpus.clips import clip_arrays
from data_gen.corpus.config import CorpusConfig
from modules.audio import build_speech_encoder
from modules.audio.synthetic_speech import synthesize
from modules.audio2motion.model import Audio2MotionVAE
from modules.audio2motion.windowed import infer_windowed
from modules.pretrained import load_pretrained
from modules.syncnet.model import SyncNet
from modules.syncnet.shift_curve import shift_curve
from tests.support.real_data import real_clip
from utils.data.paths import CODE_ROOT, under_work_root


def test_shipped_names_lead_to_the_code_and_files_are_small() -> None:
    for task in ("syncnet", "lm3d_vae"):
        folder = under_work_root(f"generic/{task}")
        assert folder.is_relative_to(CODE_ROOT)
        assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


@pytest.fixture(scope="module")
def spoken() -> tuple[torch.Tensor, torch.Tensor]:
    """Return speech features [1,2T,C] and the generic model's motion [T,204]."""
    wav = synthesize(["Bob and my mamma made a map. Papa put a bow on the boat."], "en-gb+m5")[0].samples
    speech = torch.from_numpy(build_speech_encoder("moonshine+mel").encode(wav))[None]
    vae, _, _ = load_pretrained(Audio2MotionVAE, under_work_root("generic/lm3d_vae"))
    assert isinstance(vae, Audio2MotionVAE)
    with torch.inference_mode():
        return speech, infer_windowed(vae, speech, temperature=0.0)[0]


def test_the_lips_move_within_the_range_of_people(spoken: tuple[torch.Tensor, torch.Tensor]) -> None:
    motion = spoken[1].unflatten(-1, (68, 3))
    gap = (motion[:, 62, 1] - motion[:, 66, 1]).numpy()
    assert 0.1 < gap.std() < 1.0
    assert np.abs(motion.numpy()).max() < 4


def test_syncnet_hears_when_the_lips_are_shifted(spoken: tuple[torch.Tensor, torch.Tensor]) -> None:
    speech, motion = spoken
    net, _, _ = load_pretrained(SyncNet, under_work_root("generic/syncnet"))
    assert isinstance(net, SyncNet)
    with torch.inference_mode():
        assert shift_curve(net, speech[0], motion, net.config.sync_win_frames).accuracy() > 0.95


def test_syncnet_places_the_lips_of_a_person_it_never_saw_and_not_those_of_another_time() -> None:
    clip = clip_arrays(real_clip("video/obama_oval_20s_sync.mp4"), CorpusConfig(speech_encoder="moonshine+mel"))
    motion = torch.from_numpy((clip["lm3d"] - clip["lm3d"].mean(axis=0)).reshape(len(clip["lm3d"]), -1))
    speech = torch.from_numpy(clip["speech"].astype(np.float32))
    net, _, _ = load_pretrained(SyncNet, under_work_root("generic/syncnet"))
    assert isinstance(net, SyncNet)
    with torch.inference_mode():
        own, other = (shift_curve(net, sound, motion, 25) for sound in (speech, speech.roll(len(speech) // 2, dims=0)))
    assert own.accuracy() > 0.95
    assert abs(own.best_shift()) <= 1
    assert other.accuracy() < 0.65
