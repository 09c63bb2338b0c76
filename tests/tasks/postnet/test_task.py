"""Adapting the generic motion to one person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from modules.postnet.model import PostNet, PostNetConfig
from tasks.postnet.dataset import PersonTest, PersonWindows, open_person, selection_split
from tasks.postnet.person import best_share, fit_figures, keep_the_better
from tasks.postnet.task import PostNetTask
from tasks.trainer import train
from tests.support.motion_root import train_experts, write_data
from tests.support.motion_runs import assert_resume_is_exact, post_config
from tests.support.tiny_corpus import tiny_clip
from tests.support.tiny_person import write_tiny_person
from utils.commons.checkpoint import load_model
from utils.commons.runtime import seeded_generator
from utils.commons.schema import DataError


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("postnet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEFACE_ROOT", str(root))
        write_data(root)
        train_experts()
    return root


@pytest.fixture(autouse=True)
def _use_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEFACE_ROOT", str(root))


def test_training_brings_the_motion_nearer_to_the_persons_own() -> None:
    config = post_config(postnet_lambda_mse=1.0, postnet_lambda_adv=0.01, postnet_channels=(32, 48))
    task = PostNetTask(config)  # type: ignore[arg-type]
    data, test = task.train_dataset(rank=0, world_size=1), task.val_dataset()
    optimizer = torch.optim.Adam(task.generator.parameters(), lr=2e-3)
    for step in range(100):
        terms = task.training_step(data[step], step=step, optimizer="generator")
        weights = task.loss_weights(step=step, progress=0.0, optimizer="generator")
        optimizer.zero_grad()
        sum((terms[name] * weights[name] for name in terms), torch.zeros(())).backward()
        optimizer.step()
    task.model.eval()
    with torch.no_grad():
        figures = task.validation_step(test[0], step=0)
    assert figures["lmd"] < 0.6 * figures["lmd_generic"]


def test_resume_equals_the_uninterrupted_run_bit_by_bit(tmp_path: Path) -> None:
    assert_resume_is_exact(PostNetTask, post_config(max_updates=10, postnet_disc_start_steps=3), tmp_path)


def test_the_critic_starts_when_it_is_told_to() -> None:
    task = PostNetTask(post_config(postnet_disc_start_steps=3))  # type: ignore[arg-type]
    batch = task.train_dataset(rank=0, world_size=1)[0]
    for step in (2, 3):
        for optimizer in ("generator", "discriminator"):
            terms = task.training_step(batch, step=step, optimizer=optimizer)
            assert terms.keys() == task.loss_weights(step=step, progress=0.0, optimizer=optimizer).keys()
            assert ("adv" in terms or "disc" in terms) == (step == 3)


def test_a_person_can_be_trained_without_any_corpus(tmp_path: Path) -> None:
    config = post_config(corpus="", person_ridge_share=0.5, max_updates=2)
    batch = PostNetTask(config).train_dataset(rank=0, world_size=1)[0]  # type: ignore[arg-type]
    assert batch["y"].shape == (3, 24, 204)
    assert batch["ridge"].shape == batch["p_ridge"].shape == (3, 24, 204)
    train(PostNetTask, config, tmp_path / "alone")
    assert load_model(tmp_path / "alone")[1] == 2


def test_postnet_lr_is_the_generators_rate() -> None:
    specs = PostNetTask(post_config(postnet_lr=3e-4, postnet_disc_lr=7e-5)).optimizers()  # type: ignore[arg-type]
    assert specs["generator"].groups[0]["lr"] == 3e-4
    assert specs["discriminator"].groups[0]["lr"] == 7e-5


def test_the_experts_are_no_part_of_the_saved_model() -> None:
    task = PostNetTask(post_config())  # type: ignore[arg-type]
    assert {name.split(".")[0] for name in task.model.state_dict()} == {"generator", "discriminator"}
    assert task.frozen().keys() == {"audio2motion", "syncnet"}


def test_no_window_crosses_a_cut_and_frames_without_a_face_do_not_count(tmp_path: Path) -> None:
    store = write_tiny_person(tmp_path / "cut", num_frames=40, size=32, segments=[(0, 18), (18, 40)])
    store.speech = (torch.arange(80)[:, None] // 2).expand(-1, 8).numpy().astype("float16")
    store.valid = store.valid.copy()
    store.valid[5] = False
    batch = PersonWindows(store).draw(40, 12, seeded_generator(0))
    frames = batch["speech"][:, ::2, 0]
    for row, mask in zip(frames, batch["y_mask"], strict=True):
        real = row[mask > 0]
        assert not ((real < 18).any() and (real >= 18).any())
        assert 5 not in real.tolist()
        assert not ((real >= 16) & (real < 18)).any(), "test frames of the first segment"


def test_validation_looks_at_the_test_frames_with_context() -> None:
    config = post_config()
    store, batch = open_person(config), PersonTest(config)[0]  # type: ignore[arg-type]
    assert int(batch["eval_mask"].sum()) == len(store.indices("test"))
    assert batch["y_mask"].sum() > batch["eval_mask"].sum()
    row = int(batch["eval_mask"].sum(1).argmax())
    first = int(batch["eval_mask"][row].argmax())
    truth = store.lm3d[store.indices("test")[0]] - store.lm3d_mean
    torch.testing.assert_close(batch["y"][row, first], torch.from_numpy(truth.reshape(-1)))


def test_the_frames_that_choose_are_neither_trained_on_nor_tested() -> None:
    config = post_config()
    store, batch = open_person(config), PersonTest(config)[0]  # type: ignore[arg-type]
    train, select = selection_split(store.manifest.train_ranges)
    assert not (batch["select_mask"] * batch["eval_mask"]).any()
    assert int(batch["select_mask"].sum()) == sum(b - a for a, b in select) == 18
    assert PersonWindows(store).ranges == train == [(0, 127)]
    many = [(10 * i, 10 * i + 10) for i in range(16)]
    assert selection_split(many) == (many[:14], many[14:])


@pytest.mark.parametrize("kind", ["ridge", "lle"])
def test_a_solved_postnet_needs_one_update_and_learns_nothing(kind: str, tmp_path: Path) -> None:
    config = post_config(postnet=kind, person_ridge_share=0.5, person_gain=0.5, max_updates=50)
    assert config.max_updates == 1
    task = PostNetTask(config)  # type: ignore[arg-type]
    train(PostNetTask, config, tmp_path / "solved")
    tensors, step = load_model(tmp_path / "solved")
    assert step == 1
    for name, tensor in task.generator.named_buffers():
        if name.startswith(("ridge", "gain", "nearest")):
            torch.testing.assert_close(tensors[f"generator.{name}"], tensor, atol=0, rtol=0)
    figures = task.validation_step(task.val_dataset()[0], step=0)
    assert figures["lmd"] < 0.7 * figures["lmd_generic"]


def test_a_useless_correction_gets_no_share_and_the_curve_is_kept(tmp_path: Path) -> None:
    config = post_config(
        person_ridge_share=0.6, postnet_auto_share=True, postnet_lambda_adv=0.0, postnet_lambda_sync=0.0, max_updates=4
    )
    task = PostNetTask(config)  # type: ignore[arg-type]
    batch = task.val_dataset()[0]
    with torch.no_grad():
        task.generator.block3[-1].weight.normal_(std=1.0)
    task.model.eval()
    figures = task.validation_step(batch, step=0)
    assert figures["share"] == 0
    assert float(task.generator.share) == 0
    x = torch.zeros_like(batch["y"])
    base, _ = task.generator.extremes(x, batch["y_mask"], batch["speech"])
    torch.testing.assert_close(task.generator(x, batch["y_mask"], batch["speech"]), base)
    train(PostNetTask, config, tmp_path / "curve")
    lines = [json.loads(line) for line in (tmp_path / "curve" / "validation_curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4]
    assert {"select/lips", "select/score", "share", "lip_corr"} <= lines[0].keys()


def test_the_gain_restores_the_spread_of_the_lower_face_alone() -> None:
    plain, restored = (
        PostNetTask(post_config(person_ridge_share=1.0, person_gain=gain)).generator.gain for gain in (0.0, 1.0)
    )  # type: ignore[arg-type]
    assert (plain == 1).all()
    assert (restored[51:144] == 1).all()
    assert restored[144:].max() > 1
    assert restored.min() >= 1


def test_a_person_with_other_speech_features_is_refused_by_name(root: Path) -> None:
    write_tiny_person(root / "data" / "binary" / "videos" / "mia", num_frames=30, size=32, speech_dim=5)
    with pytest.raises(
        DataError, match=r"lm3d_vae needs speech features 'tiny' of width 8, but video mia holds 'tiny' of"
    ):
        post_config(video_id="mia")


def test_of_a_short_clip_the_own_map_gets_no_more_than_half() -> None:
    clip = torch.from_numpy(tiny_clip(1, 0, 1200, 4).lm3d.reshape(1200, -1))
    neutral = clip.mean(0)
    true, still = clip - neutral, torch.zeros_like(clip)
    assert best_share(still, true, true, neutral) == 0.75  # the map is perfect, the generic model useless
    assert best_share(still[:900], true[:900], true[:900], neutral) == 0.5
    assert best_share(true, still, true, neutral) == 0.25


def test_what_is_fitted_is_kept_only_if_it_beats_the_plain_average_on_frames_left_out() -> None:
    clip = torch.from_numpy(tiny_clip(1, 0, 400, 4).lm3d.reshape(400, -1))
    neutral = clip.mean(0)
    true = clip - neutral
    config = PostNetConfig(person_ridge_share=0.75, speech_dim=8, person_opening_map=True, person_lip_closing=True)
    good, spoilt = PostNet(config), PostNet(config)
    for generator in (good, spoilt):
        generator.opening_map.fit(0.6 * true, true, neutral)
    spoilt.opening_map.target.fill_(0.12)  # every mouth half open
    spoilt.lip_closing.threshold.fill_(0.05)
    for generator in (good, spoilt):
        keep_the_better(generator, 0.6 * true, 0.6 * true, true, neutral)
    assert float(good.ridge_share) == 0.75
    timid = 0.6 * true[None]
    assert (good.blend(timid, None, timid) - timid).abs().max() > 0.05
    assert (float(spoilt.ridge_share), float(spoilt.lip_closing.threshold)) == (0.5, 0)
    torch.testing.assert_close(spoilt.blend(timid, None, timid), timid, atol=1e-3, rtol=0)


def test_the_score_of_a_fit_is_best_for_the_truth_and_worse_for_each_fault() -> None:
    clip = torch.from_numpy(tiny_clip(1, 0, 400, 4).lm3d.reshape(400, -1))
    neutral = clip.mean(0)
    true = clip - neutral
    best = fit_figures(true, true, neutral)
    assert best["score"] == pytest.approx(0, abs=1e-6)
    for fault in (0.5 * true, true.roll(5, 0), torch.zeros_like(true), 1.5 * true):
        assert fit_figures(fault, true, neutral)["score"] > 0.05
