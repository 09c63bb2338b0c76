"""Files that are damaged, wrong or malicious are refused in one clear sentence, and nothing is written."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from modules.importer import archive
from modules.importer.release import import_release
from tests.support.release import CONFIGS, reference_state, write_experiment
from utils.commons import foreign_checkpoint
from utils.commons.schema import DataError


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Return a release with a sound head, so that there would be something to write."""
    write_experiment(tmp_path / "release/Ann/adnerf", 7, {"model": reference_state("adnerf")}, {})
    return tmp_path / "release"


def assert_refused(source: Path, tmp_path: Path, match: str) -> None:
    """Import into an empty folder; the error must say ``match`` and the folder must stay empty."""
    out = tmp_path / "out" / "checkpoints"
    out.parent.mkdir()
    with pytest.raises(DataError, match=match):
        import_release([source], out)
    assert list(out.parent.iterdir()) == []


def write_head(release: Path, tensors: dict[str, torch.Tensor], **config: object) -> Path:
    return write_experiment(release / "May/lm3d_nerf", 400000, {"model": tensors}, CONFIGS["May/lm3d_nerf"] | config)


@pytest.mark.parametrize("old_format", [True, False])
def test_programs_in_a_checkpoint_are_not_run(release: Path, tmp_path: Path, old_format: bool) -> None:
    evil = Evil(f"touch {tmp_path}/ran")
    state = {"model": reference_state("lm3d_nerf")}
    write_experiment(release / "May/lm3d_nerf", 1, state, {}, old_format=old_format, checkpoint_callback_best=evil)
    assert_refused(release, tmp_path, r"model_ckpt_steps_1.ckpt holds more than tensors .*GLOBAL posix.system")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_truncated_checkpoints(release: Path, tmp_path: Path, share: float) -> None:
    path = write_head(release, reference_state("lm3d_nerf"))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert_refused(release, tmp_path, "May/lm3d_nerf/model_ckpt_steps_400000.ckpt is damaged or no checkpoint")


def test_weights_that_are_not_numbers(release: Path, tmp_path: Path) -> None:
    weight = reference_state("lm3d_nerf")["lm_encoder.encoder_fc1.0.weight"].clone()
    weight[3, 4] = float("nan")
    write_head(release, reference_state("lm3d_nerf") | {"lm_encoder.encoder_fc1.0.weight": weight})
    assert_refused(release, tmp_path, "lm_encoder.encoder_fc1.0.weight holds values that are not finite")


def test_oversized_tensors(release: Path, tmp_path: Path) -> None:
    giant = torch.zeros(1).expand(10**6, 10**6)
    write_head(release, reference_state("lm3d_nerf") | {"lm_encoder.encoder_fc1.0.weight": giant})
    assert_refused(release, tmp_path, r"of another shape: lm_encoder.encoder_fc1.0.weight \[1000000, 1000000\]")


def test_oversized_files(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_checkpoint, "MAX_BYTES", 1 << 20)
    assert_refused(release, tmp_path, "Ann/adnerf/model_ckpt_steps_7.ckpt is larger than")


@pytest.mark.parametrize("value", ["/etc/passwd", "../../secret", "C:/models", "checkpoints/../../x"])
def test_configurations_that_lead_elsewhere(release: Path, tmp_path: Path, value: str) -> None:
    write_head(release, reference_state("lm3d_nerf"), head_model_dir=value)
    assert_refused(release, tmp_path, "config.yaml: head_model_dir names .*, which is outside of the release")


def test_data_folders_of_the_configuration_are_not_followed(release: Path, tmp_path: Path) -> None:
    write_head(release, reference_state("lm3d_nerf"), binary_data_dir="/somewhere/else")
    out = tmp_path / "checkpoints"
    import_release([release], out)
    assert "somewhere" not in (out / "May/lm3d_nerf/config.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("!!python/object/apply:os.system ['true']", "is not plain YAML"),
        ("- a\n- b\n", "holds no configuration"),
        ("near: [1, 2]\n", "near must be a number, got"),
        ("near: -3\n", "near: .* greater than or equal to 0"),
        ("n_samples_per_ray: .nan\n", "n_samples_per_ray must be a number"),
    ],
)
def test_wrong_configurations(release: Path, tmp_path: Path, text: str, match: str) -> None:
    write_head(release, reference_state("lm3d_nerf"))
    (release / "May/lm3d_nerf/config.yaml").write_text(text)
    assert_refused(release, tmp_path, match)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"model": {"weight": torch.zeros(2)}}, "is no network of GeneFace that is known here"),
        ({"net": {"weight": torch.zeros(2)}}, "holds no network 'model'"),
        ({"model": {"weight": "text"}}, "model.weight is a str and no tensor"),
        ({}, "has no 'state_dict'"),
        ({"model": reference_state("postnet_discriminator")}, "which no experiment of GeneFace trains alone"),
        ({"model": reference_state("postnet")}, "lacks its 'audio2motion_task'"),
    ],
)
def test_other_networks(release: Path, tmp_path: Path, content: dict[str, object], match: str) -> None:
    write_experiment(release / "May/postnet", 5, content, {})
    assert_refused(release, tmp_path, match)


def zip_of(release: Path, tmp_path: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    path = tmp_path / "release.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in release.rglob("*.*"):
            packed.write(file, file.relative_to(release).as_posix())
        change(packed)
    return path


def link(packed: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("lrs3/link")
    info.external_attr = 0o120777 << 16
    packed.writestr(info, "/etc/passwd")


@pytest.mark.parametrize("name", ["../evil.ckpt", "/tmp/evil.ckpt", "lrs3/../../evil.ckpt", "..\\evil.ckpt", "C:evil"])
def test_zips_that_lead_out_of_themselves(release: Path, tmp_path: Path, name: str) -> None:
    path = zip_of(release, tmp_path, lambda packed: packed.writestr(name, b"x"))
    assert_refused(path, tmp_path, "leads out of it; it is not unpacked")


def test_zips_with_links(release: Path, tmp_path: Path) -> None:
    assert_refused(zip_of(release, tmp_path, link), tmp_path, "'lrs3/link', which leads out of it")


def test_truncated_and_altered_zips(release: Path, tmp_path: Path) -> None:
    path = zip_of(release, tmp_path, lambda packed: None)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert_refused(path, tmp_path, "release.zip is damaged or no zip")
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(DataError, match="Bad CRC-32"):
        import_release([path], tmp_path / "other")


def test_zips_that_would_fill_the_disk(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MAX_TOTAL", 1 << 20)
    assert_refused(
        zip_of(release, tmp_path, lambda packed: None), tmp_path, "would unpack to more than any release holds"
    )


def test_folders_without_experiments(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", tmp_path, "holds no folder with a config.yaml")


def test_a_second_wrong_experiment_keeps_the_first_from_being_written(release: Path, tmp_path: Path) -> None:
    head = dict(reference_state("lm3d_nerf"))
    del head["model_fine.color_out_linear.bias"]
    write_head(release, head)
    assert_refused(release, tmp_path, "missing: model_fine.color_out_linear.bias")


def test_two_experiments_of_one_kind_are_not_mixed(release: Path, tmp_path: Path) -> None:
    write_experiment(release / "Ann/adnerf2", 10, {"model": reference_state("adnerf")}, {})
    assert_refused(release, tmp_path, "would both become Ann/adnerf")
