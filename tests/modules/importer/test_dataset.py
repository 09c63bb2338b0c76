"""The original's datasets become person stores: values, windows, both generations, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from imageio.core.util import Array

from modules.importer.dataset import import_dataset, neutral_face
from modules.importer.pictures import layer_masks
from scripts.import_geneface import main
from tasks.nerf.config import NerfHeadConfig
from tasks.nerf.task import NerfHeadTask
from tests.modules.importer.test_hostile import Evil
from tests.support.original_dataset import dataset, write_dataset
from utils.commons.schema import ConfigError, DataError
from utils.data.paths import binary_video
from utils.data.person_store import PersonStore
from utils.media.audio import save_wav

SIZE, FRAMES = 16, 22


def imported(tmp_path: Path, content: Any, **options: Any) -> PersonStore:
    import_dataset(write_dataset(tmp_path / "trainval_dataset.npy", content), "May", **options)
    return PersonStore(binary_video("May"))


@pytest.mark.parametrize("generation", ["v1", "head"])
def test_both_generations_become_the_same_store(tmp_path: Path, generation: str) -> None:
    content = dataset(generation=generation)
    store = imported(tmp_path, content)
    samples = content["train_samples"] + content["val_samples"]
    assert len(store) == FRAMES
    assert store.indices("train").tolist() == list(range(20))
    assert store.indices("test").tolist() == [20, 21]
    np.testing.assert_allclose(store.speech[:4], content["hubert"][:4], atol=2e-3)
    np.testing.assert_array_equal(store.background, content["bc_img" if generation == "v1" else "bg_img"])
    np.testing.assert_allclose(store.c2w, [one["c2w"] for one in samples], atol=1e-6)
    assert store.manifest.absent == ["f0"] * (generation == "v1") + ["lm2d", "pictures", "audio"]
    if generation == "head":
        np.testing.assert_allclose(store.f0, 120)


def test_normalised_landmarks_and_windows_are_those_of_the_file(tmp_path: Path) -> None:
    content = dataset()
    store = imported(tmp_path, content)
    for t, one in enumerate(content["train_samples"]):
        found = store.normalize_lm3d(np.asarray(store.lm3d[t]))
        np.testing.assert_allclose(found, one["idexp_lm3d_normalized"], atol=1e-4)
        np.testing.assert_allclose(store.lm3d[t] - store.lm3d_neutral, one["idexp_lm3d"], atol=1e-5)
    rows = np.asarray(store.deepspeech)
    for t in range(4, 18):
        np.testing.assert_allclose(
            rows[2 * t - 8 : 2 * t + 8], content["train_samples"][t]["deepspeech_win"], atol=1e-6
        )


def test_pixels_are_where_the_original_looks(tmp_path: Path) -> None:
    manifest = imported(tmp_path, dataset()).manifest
    assert (manifest.cx, manifest.cy, manifest.focal) == (8.5, 8.5, 35.2)


def test_pictures_of_imageio_are_read(tmp_path: Path) -> None:
    content = dataset()
    content["bc_img"] = Array(content["bc_img"])
    np.testing.assert_array_equal(imported(tmp_path, content).background, content["bc_img"])


def test_without_pictures_it_speaks_but_does_not_train(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"imported without pictures.*--pictures"):
        imported(tmp_path, dataset()).gt(0)


def processed_folder(root: Path) -> Path:
    for name in ("com_imgs", "parsing", "ori_imgs"):
        (root / name).mkdir(parents=True)
    parsing = np.full((SIZE, SIZE, 3), 255, np.uint8)
    parsing[2:8, 4:12], parsing[8:10, 6:10], parsing[10:, 2:14] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    for t in range(FRAMES):
        cv2.imwrite(str(root / "com_imgs" / f"{t}.jpg"), np.full((SIZE, SIZE, 3), 9 * t, np.uint8))
        cv2.imwrite(str(root / "parsing" / f"{t}.png"), parsing)
        np.savetxt(root / "ori_imgs" / f"{t}.lms", np.full((68, 2), 3.0 + t / 10))
    save_wav(root / "aud.wav", np.zeros(FRAMES * 640 + 900, np.float32))
    return root


def test_pictures_landmarks_and_sound_of_the_processed_folder_are_taken(tmp_path: Path) -> None:
    store = imported(tmp_path, dataset(), pictures=processed_folder(tmp_path / "May"))
    assert store.manifest.absent == ["f0"]
    assert store.gt(5).mean() == pytest.approx(45, abs=1)
    assert store.masks(0)[4, 6].tolist() == [255, 0]
    assert store.masks(0)[12, 6].tolist() == store.masks(0)[9, 7].tolist() == [0, 255]
    assert store.torso(0)[12, 6, 3] == 255
    np.testing.assert_allclose(store.lm2d[10], 4.0)
    assert store.audio_path.exists()


def test_our_renderer_trains_on_an_imported_dataset(tmp_path: Path) -> None:
    imported(tmp_path, dataset(), pictures=processed_folder(tmp_path / "May"))
    small = {"plane_sizes": (8,), "blend_size": 8, "warp_grid_size": 8, "grid_size": 16, "hidden_size": 16}
    task = NerfHeadTask(NerfHeadConfig(video_id="May", n_rays=64, frames_per_step=1, **small))
    low, high = task.head.field.aabb
    assert (high - low > 0.1).all()
    assert (high - low < 0.6).all()
    terms = task.training_step(task.train_dataset(rank=0, world_size=1)[0], step=0, optimizer="head")
    assert float(terms["mse"].detach()) > 0


@pytest.mark.parametrize("swapped", [False, True])
def test_the_head_is_found_whatever_order_the_colors_have(swapped: bool) -> None:
    parsing = np.full((8, 8, 3), 255, np.uint8)
    parsing[1:3], parsing[5:] = (255, 0, 0), (0, 0, 255)
    masks = layer_masks(parsing[..., ::-1] if swapped else parsing)
    assert masks[2, 0].tolist() == [255, 0]
    assert masks[6, 0].tolist() == [0, 255]


def change(**changes: Any) -> dict[str, Any]:
    return dataset() | changes


def with_sample(number: int, **changes: Any) -> dict[str, Any]:
    content = dataset()
    content["train_samples"][number] |= changes
    return content


TILTED = np.eye(4)
TILTED[0, 1] = 0.4


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (lambda: change(train_samples="none"), "no list 'train_samples'"),
        (lambda: change(train_samples=[]), "no training frame"),
        (lambda: change(H="x"), "H must be a number above zero, found 'x'"),
        (lambda: change(focal=float("nan")), "focal must be a number above zero"),
        (lambda: change(bc_img=np.zeros((2, 2, 3), np.uint8)), r"bg_img must be a picture \[16,16,3\]"),
        (lambda: change(idexp_lm3d_std=np.zeros((1, 68, 3))), "std above zero"),
        (lambda: change(hubert=np.zeros((0, 1024))), "no row of speech features"),
        (lambda: with_sample(7, idx=9), "frame 7 has the number 9"),
        (lambda: with_sample(7, c2w=np.eye(3)), r"c2w of frame 7 must be \[4, 4\], found \[3, 3\]"),
        (lambda: with_sample(7, c2w=TILTED), "camera of frame 7 is no rotation"),
        (lambda: with_sample(7, idexp_lm3d=np.full((68, 3), np.nan)), "idexp_lm3d holds values that are not finite"),
        (lambda: with_sample(7, deepspeech_win=None), "deepspeech_win of frame 7 must be .* found nothing"),
        (lambda: [1, 2], "holds a list and no dataset"),
    ],
)
def test_datasets_that_contradict_themselves_are_refused(tmp_path: Path, content: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        imported(tmp_path, content())
    assert not binary_video("May").exists()


@pytest.mark.parametrize("place", ["top", "sample", "array"])
def test_programs_in_a_dataset_are_not_run(tmp_path: Path, place: str) -> None:
    evil: Any = Evil(f"touch {tmp_path}/ran")
    boxed = np.empty(1, object)
    boxed[0] = evil
    contents = {"top": change(near=evil), "sample": with_sample(3, exp=evil), "array": change(mel=boxed)}
    with pytest.raises(DataError, match=f"asks for '{os.system.__module__}.system'.* it may be an attack"):
        imported(tmp_path, contents[place])
    assert not (tmp_path / "ran").exists()
    assert not binary_video("May").exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    path = write_dataset(tmp_path / "x.npy", dataset())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"x.npy: it (is|ends|was)"):
        import_dataset(path, "May")
    assert not binary_video("May").exists()


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 3)))
    with pytest.raises(DataError, match=r"holds an array \[3, 3\] of float64 and no dataset"):
        import_dataset(tmp_path / "x.npy", "May")


def test_what_is_unusual_is_told(tmp_path: Path) -> None:
    content = dataset()
    content["idexp_lm3d_mean"] = content["idexp_lm3d_mean"] + 1
    content["hubert"] = content["hubert"][:10]
    for one in content["train_samples"] + content["val_samples"]:
        one["c2w"] = one["c2w"] * np.array([[1, 1, 1, 9]] * 3 + [[1, 1, 1, 1]])
    notes = import_dataset(write_dataset(tmp_path / "x.npy", content), "May")
    for text in ("10 rows for 22 frames", "m from the head", "idexp_lm3d_mean differs", "is not (idexp_lm3d - mean)"):
        assert any(text in note for note in notes), text


def test_the_command_imports_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_dataset(tmp_path / "May" / "trainval_dataset.npy", dataset())
    main(["--dataset", str(path)])
    assert "imported: data/binary/videos/May from" in capsys.readouterr().out
    with pytest.raises(DataError, match="there is a dataset of 'May' already"):
        main(["--dataset", str(path), "--video_id", "May"])
    main(["--dataset", str(path), "--video_id", "May", "--overwrite"])
    with pytest.raises(ConfigError, match="name the folder or zip"):
        main([])
    with pytest.raises(FileNotFoundError, match="has no gt_imgs"):
        main(["--dataset", str(path), "--overwrite", "--pictures", str(tmp_path)])


def test_the_neutral_face_is_a_face() -> None:
    face = neutral_face()
    np.testing.assert_allclose(face[[36, 39, 42, 45, 30, 48, 54]].mean(axis=0)[0], 0, atol=0.01)
    assert face[30, 2] > face[36, 2] > face[0, 2]
    assert face[19, 1] > face[37, 1] > face[33, 1] > face[62, 1] > face[8, 1]
