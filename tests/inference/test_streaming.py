from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.config import InferConfig
from inference.pipeline import TalkingHead
from inference.streaming import LOOKAHEAD, LandmarkStream
from modules.audio import SAMPLES_PER_FRAME


@pytest.fixture
def head(root: Path) -> TalkingHead:
    return TalkingHead("tim", config=InferConfig(infer_image_size=12, device="cpu", infer_temperature=0.0))


def sound(frames: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (0.1 * rng.standard_normal(frames * SAMPLES_PER_FRAME)).astype(np.float32)


def landmarks(head: TalkingHead, wav: np.ndarray, piece: int) -> np.ndarray:
    stream = LandmarkStream(head.motion, head.person, head.store, head.config)
    return np.concatenate(list(stream.follow(np.split(wav, range(piece, len(wav), piece)))))


def test_the_first_frame_comes_after_half_a_second_of_speech(head: TalkingHead) -> None:
    heard: list[int] = []

    def pieces() -> Iterator[np.ndarray]:
        for part in np.split(sound(18), range(8000, 18 * SAMPLES_PER_FRAME, 8000)):
            heard.append(len(part))
            yield part

    frames = head.stream(pieces())
    first = next(frames)
    assert len(heard) == 1
    assert (first.shape, first.dtype) == ((12, 12, 3), np.uint8)
    assert 1 + len(list(frames)) == 18


@pytest.mark.parametrize("piece", [3000, 8000, 10**6])
def test_every_frame_comes_once_whatever_the_pieces(head: TalkingHead, piece: int) -> None:
    wav = sound(37)
    streamed = landmarks(head, wav, piece)
    assert streamed.shape == (37, 68, 3)
    assert np.isfinite(streamed).all()
    whole = landmarks(head, wav, len(wav))
    assert np.abs(streamed - whole).mean() < 0.5 * np.abs(whole - head.store.lm3d_mean).mean()


def test_a_frame_waits_for_the_sound_behind_it(head: TalkingHead) -> None:
    stream = LandmarkStream(head.motion, head.person, head.store, head.config)
    assert len(stream.push(sound(LOOKAHEAD))) == 0
    assert len(stream.push(sound(3))) == 3
    assert len(stream.finish()) == LOOKAHEAD


def test_there_is_no_jump_where_pieces_meet(head: TalkingHead) -> None:
    wav = sound(60)
    speed = np.abs(np.diff(landmarks(head, wav, 8000), axis=0)).mean(axis=(1, 2))
    usual = np.abs(np.diff(landmarks(head, wav, len(wav)), axis=0)).mean(axis=(1, 2))
    assert speed.max() < 2.5 * usual.max()


def test_silence_without_sound_gives_nothing(head: TalkingHead) -> None:
    assert list(head.stream([])) == []
