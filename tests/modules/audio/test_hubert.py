from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modules.audio import build_speech_encoder
from tests.support.clips import tone
from utils.commons.schema import ConfigError

transformers = pytest.importorskip("transformers", reason="HuBERT needs the optional package transformers")


@pytest.fixture(scope="module")
def tiny_hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a very small HuBERT with the real one's strides."""
    folder = tmp_path_factory.mktemp("hubert")
    config = transformers.HubertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    transformers.HubertModel(config).save_pretrained(folder)
    return folder


def test_hubert_from_a_local_folder_gives_two_rows_a_frame(tiny_hubert: Path) -> None:
    encoder = build_speech_encoder("hubert", hubert_path=str(tiny_hubert))
    assert encoder.dim == 16
    for seconds in (0.04, 1.0, 1.3, 20.0, 20.04):
        features = encoder.encode(tone(seconds))
        assert features.shape == (2 * round(seconds * 25), 16)
        assert np.isfinite(features).all()


def test_hubert_does_not_hear_the_level(tiny_hubert: Path) -> None:
    encoder = build_speech_encoder("hubert", hubert_path=str(tiny_hubert))
    wav = tone(1.0)
    np.testing.assert_allclose(encoder.encode(wav), encoder.encode(0.3 * wav), atol=1e-3)


def test_chunks_join_without_a_shift(tiny_hubert: Path) -> None:
    """21 s in chunks of 20 s: the first chunk is what the model gives for the first 20 s plus its overlap."""
    import torch

    wav = tone(21.0, 150) + np.random.default_rng(0).normal(0, 0.05, 21 * 16000).astype(np.float32)
    features = build_speech_encoder("hubert", hubert_path=str(tiny_hubert)).encode(wav)
    model = transformers.HubertModel.from_pretrained(tiny_hubert).eval()
    normal = (wav - wav.mean()) / np.sqrt(wav.var() + 1e-7)
    with torch.no_grad():
        first = model(torch.from_numpy(normal[:320080])[None]).last_hidden_state[0].numpy()
    assert len(first) == 1000
    np.testing.assert_allclose(features[:1000], first, atol=1e-4)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no HuBERT weights in .*nowhere.* set hubert_path"):
        build_speech_encoder("hubert", hubert_path=str(tmp_path / "nowhere"))
