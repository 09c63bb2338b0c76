"""A release becomes experiments of ours: what is taken, where it lands, what is said about it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from modules.importer.release import REPORT_NAME, import_release
from modules.postnet.model import PostNet
from modules.pretrained import load_pretrained
from modules.syncnet.model import SyncNet
from scripts.import_geneface import main
from tasks.base_task import load_task_class
from tests.support.release import CONFIGS, reference_state, states, under, write_experiment, write_release
from utils.commons.checkpoint import load_model, saved_steps
from utils.commons.hparams import build_config, load_config
from utils.commons.schema import ConfigError, DataError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def write(root: Path, name: str, **changes: object) -> Path:
    step, state = states()[name]
    return write_experiment(root / name, step, state, CONFIGS[name] | changes)


def test_everything_of_a_release_is_taken_and_told(tmp_path: Path, out: Path) -> None:
    report = import_release([write_release(tmp_path / "release")], out)
    steps = {path.parent.relative_to(out).as_posix(): saved_steps(path.parent) for path in out.rglob("config.yaml")}
    assert steps == {
        "lrs3/syncnet": [40000],
        "lrs3/lm3d_vae": [40000],
        "May/postnet": [6000],
        "May/postnet_vae": [6000],
        "May/lm3d_nerf": [400000],
        "May/lm3d_nerf_torso": [400000],
    }
    assert len(report.taken) == 6
    assert any("syncnet_task (182 tensors), optimizer states" in line for line in report.left)
    assert any("mel_encoder.1.running_mean" in line for line in report.notes)
    saved = json.loads((out / "May/postnet" / REPORT_NAME).read_text(encoding="utf-8"))
    assert saved["source"] == "May/postnet/model_ckpt_steps_6000.ckpt"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_the_postnet_gets_its_own_vae(tmp_path: Path, out: Path) -> None:
    import_release([write_release(tmp_path / "release", "lrs3/lm3d_vae", "May/postnet")], out)
    own, generic = load_model(out / "May/postnet_vae")[0], load_model(out / "lrs3/lm3d_vae")[0]
    difference = own["mel_encoder.1.running_mean"] - generic["mel_encoder.1.running_mean"]
    torch.testing.assert_close(difference, torch.full((64,), 0.05))
    config = yaml.safe_load((out / "May/postnet/config.yaml").read_text())
    assert config["audio2motion_work_dir"] == "checkpoints/May/postnet_vae"
    assert (config["postnet_lr"], config["infer_temperature"], config["postnet_lambda_adv"]) == (5e-4, 1.0, 0.85)


def test_a_copy_of_syncnet_is_taken_where_the_release_has_no_other(tmp_path: Path, out: Path) -> None:
    import_release([write_release(tmp_path / "release", "May/postnet")], out)
    config = yaml.safe_load((out / "May/postnet/config.yaml").read_text())
    assert config["syncnet_work_dir"] == "checkpoints/May/syncnet"
    load_pretrained(SyncNet, out / "May/syncnet")


def test_configurations_are_those_of_our_tasks(tmp_path: Path, out: Path) -> None:
    import_release([write_release(tmp_path / "release")], out)
    for path in out.rglob("config.yaml"):
        resolved = load_config(path)
        config = build_config(load_task_class(resolved.values["task_cls"]).config_cls, resolved)
        assert set(resolved.values) <= set(type(config).model_fields)


@pytest.mark.parametrize("top", ["", "May/", "checkpoints/May/"])
def test_zips_are_read_whatever_folder_they_begin_with(tmp_path: Path, out: Path, top: str) -> None:
    write(tmp_path, "May/lm3d_nerf")
    with zipfile.ZipFile(tmp_path / "May.zip", "w") as archive:
        for path in (tmp_path / "May").rglob("*.*"):
            archive.write(path, top + path.relative_to(tmp_path / "May").as_posix())
    import_release([tmp_path / "May.zip"], out)
    assert saved_steps(out / "May/lm3d_nerf") == [400000]


def test_a_release_is_imported_where_it_lies_and_read_again(tmp_path: Path, out: Path) -> None:
    write(out, "May/lm3d_nerf", near=0.31)
    import_release([out], out)
    folder = out / "May/lm3d_nerf"
    assert yaml.safe_load((folder / "config.yaml").read_text())["field"] == "vanilla"
    assert (folder / "model_ckpt_steps_400000.ckpt").exists()
    with pytest.raises(DataError, match=r"May/lm3d_nerf exist already; .* --overwrite"):
        import_release([out], out)
    import_release([out], out, overwrite=True)
    assert yaml.safe_load((folder / "config.yaml").read_text())["near"] == 0.31


def test_flat_checkpoints_and_zip_files_of_torch_are_the_same(tmp_path: Path, out: Path) -> None:
    state = reference_state("postnet")
    whole = states()["May/postnet"][1]
    flat = {f"{child}.{name}": t for child, tensors in whole.items() for name, t in tensors.items()}
    write_experiment(tmp_path / "May/postnet", 6000, flat, CONFIGS["May/postnet"], old_format=False)
    import_release([tmp_path / "May"], out)
    assert torch.equal(load_model(out / "May/postnet")[0]["generator.block3.1.bias"], state["block3.1.bias"])


@pytest.mark.parametrize(("steps", "wished", "expected"), [((4000, 6000, 8000), {}, 6000), ((4000, 8000), {}, 8000)])
def test_the_step_for_inference_is_taken_else_the_newest(
    tmp_path: Path, out: Path, steps: tuple[int, ...], wished: dict[str, int], expected: int
) -> None:
    for step in steps:
        write_experiment(tmp_path / "May/postnet", step, states()["May/postnet"][1], CONFIGS["May/postnet"])
    report = import_release([tmp_path / "May"], out)
    assert saved_steps(out / "May/postnet") == [expected]
    assert any("the checkpoints of steps 4000" in line for line in report.left)


def test_smoothing_follows_the_step_and_the_torso(tmp_path: Path, out: Path) -> None:
    write_experiment(tmp_path / "a/lm3d_nerf", 1000, {"model": reference_state("lm3d_nerf")}, CONFIGS["May/lm3d_nerf"])
    import_release([tmp_path / "a"], out)
    assert not load_model(out / "a/lm3d_nerf")[0]["head.attention_on"]
    step, state = states()["May/lm3d_nerf_torso"]
    write_experiment(tmp_path / "a/lm3d_nerf_torso", step, state, {})
    import_release([tmp_path / "a"], out, overwrite=True)
    assert load_model(out / "a/lm3d_nerf")[0]["head.attention_on"]


def test_the_head_of_the_torso_wins_and_the_difference_is_told(tmp_path: Path, out: Path) -> None:
    write(tmp_path, "May/lm3d_nerf")
    step, state = states()["May/lm3d_nerf_torso"]
    moved = state["head_model"] | {"lm_encoder.encoder_fc1.2.bias": torch.ones(64)}
    write_experiment(tmp_path / "May/lm3d_nerf_torso", step, state | {"head_model": moved}, {})
    report = import_release([tmp_path], out)
    assert any("trained under another head" in line for line in report.notes)
    assert load_model(out / "May/lm3d_nerf")[0]["head.lm_encoder.encoder_fc1.2.bias"].eq(1).all()


def test_adnerf_is_taken(tmp_path: Path, out: Path) -> None:
    state = {"head_model": reference_state("adnerf"), "model": reference_state("adnerf_torso")}
    write_experiment(tmp_path / "May/adnerf_torso", 400000, state, {"use_color": False})
    import_release([tmp_path], out)
    assert saved_steps(out / "May/adnerf") == saved_steps(out / "May/adnerf_torso") == [400000]
    assert yaml.safe_load((out / "May/adnerf/config.yaml").read_text())["cond_speech"] == "deepspeech"


def test_renderers_without_a_counterpart_are_left_with_a_reason(tmp_path: Path, out: Path) -> None:
    write(tmp_path, "May/lm3d_nerf")
    radnerf = {"model": {"position_embedder.embeddings": torch.zeros(4, 2)}}
    write_experiment(tmp_path / "May/lm3d_radnerf", 250000, radnerf, {})
    report = import_release([tmp_path], out)
    assert any("May/lm3d_radnerf" in line and "is a RAD-NeRF" in line for line in report.left)
    assert not (out / "May/lm3d_radnerf").exists()
    with pytest.raises(DataError, match=r"nothing was imported: .*is a RAD-NeRF"):
        import_release([tmp_path / "May/lm3d_radnerf"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_command_prints_what_became_of_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "release", "May/lm3d_nerf")
    main([str(tmp_path / "release"), "--steps", "May/lm3d_nerf=400000"])
    lines = capsys.readouterr().out.splitlines()
    assert "imported: May/lm3d_nerf @ 400000: 77 tensors of May/lm3d_nerf/model_ckpt_steps_400000.ckpt" in lines
    with pytest.raises(ConfigError, match="--steps 'May' must be"):
        main([str(tmp_path / "release"), "--steps", "May"])


def test_both_copies_of_the_experts_may_carry_any_prefix_of_their_task(tmp_path: Path, out: Path) -> None:
    state = {"model": reference_state("lm3d_vae"), "syncnet_task": under("model.", reference_state("syncnet"))}
    write_experiment(tmp_path / "all/lm3d_vae_sync", 40000, state, {})
    import_release([tmp_path], out)
    assert saved_steps(out / "all/lm3d_vae") == saved_steps(out / "all/syncnet") == [40000]


def test_the_pitch_variant_of_the_postnet_hears_the_pitch(tmp_path: Path, out: Path) -> None:
    step, state = states()["May/postnet"]
    wide = state["model"] | {"block1.0.conv_block.0.weight": torch.full((128, 268, 3), 0.01)}
    more = {"model": wide, "pitch_embed": {"weight": torch.arange(300.0)[:, None].expand(300, 64).contiguous()}}
    write_experiment(tmp_path / "May/lm3d_postnet_pitch", step, state | more, CONFIGS["May/postnet"])
    import_release([tmp_path], out)
    postnet, _, _ = load_pretrained(PostNet, out / "May/postnet", child="generator")
    low, high = (postnet(torch.zeros(1, 4, 204), torch.ones(1, 4), f0=torch.full((1, 8), hz)) for hz in (100.0, 300.0))
    assert not torch.equal(low, high)
    with pytest.raises(ValueError, match="needs f0"):
        postnet(torch.zeros(1, 4, 204), torch.ones(1, 4))
    without = {"model": wide}
    write_experiment(tmp_path / "May/lm3d_postnet_pitch", step, state | without, CONFIGS["May/postnet"])
    with pytest.raises(DataError, match=r"missing: pitch_embed.weight"):
        import_release([tmp_path], out, overwrite=True)
