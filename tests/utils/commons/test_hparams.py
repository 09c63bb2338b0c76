from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator

from utils.commons.hparams import build_config, describe, load_config
from utils.commons.schema import Config, ConfigError


class Sample(Config):
    run_keys: ClassVar[frozenset[str]] = frozenset({"num_workers"})

    lr: float = 1e-3
    n_samples_per_ray: int = 16
    video_id: str = "May"
    use_pitch: bool = False
    sizes: list[int] = [1]
    names: list[str] = []
    pair: tuple[int, float] = (1, 2.0)
    limit: float | None = 1.0
    mode: Literal["fast", "full"] = "fast"
    table: dict[str, float] = {}
    num_workers: int = 0

    @model_validator(mode="after")
    def _check(self) -> Sample:
        if self.mode == "full" and self.use_pitch:
            raise ValueError("mode=full cannot use pitch; set use_pitch: false")
        return self


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.yaml"


def build(path: Path, overrides: str = "", preset: str = "quick") -> Sample:
    return build_config(Sample, load_config(path, overrides, preset))


def test_bases_are_weaker_from_left_to_right_and_depth_first(tmp_path: Path) -> None:
    top = write(
        tmp_path,
        top="base_config: [./left.yaml, ./right.yaml]\nlr: 4\n",
        left="base_config: ./deep.yaml\nvideo_id: left\nlr: 2\n",
        right="video_id: right\n",
        deep="n_samples_per_ray: 7\nvideo_id: deep\nlr: 1\n",
    )
    config = build(top, "num_workers=3")
    assert (config.lr, config.video_id, config.n_samples_per_ray, config.num_workers) == (4.0, "right", 7, 3)


def test_a_base_without_a_dot_is_relative_to_the_repository(tmp_path: Path) -> None:
    path = write(tmp_path, a="base_config: egs/nowhere.yaml\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:1: base_config 'egs/nowhere\.yaml' does not exist"):
        load_config(path)


def test_preset_chooses_a_base(tmp_path: Path) -> None:
    path = write(tmp_path, a="base_config: ./{preset}.yaml\n", quick="lr: 1\n", full="lr: 2\n")
    assert [build(path, preset=name).lr for name in ("quick", "full")] == [1.0, 2.0]
    with pytest.raises(ConfigError, match="unknown preset 'slow'"):
        load_config(path, preset="slow")


def test_a_circle_of_bases_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path, a="base_config: ./b.yaml\n", b="lr: 1\nbase_config: ./c.yaml\n", c="base_config: ./a.yaml\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:1: .* circle: a\.yaml -> b\.yaml -> c\.yaml -> a\.yaml"):
        load_config(path)


def test_a_base_shared_by_two_bases_is_no_circle(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        a="base_config: [./b.yaml, ./c.yaml]\n",
        b="base_config: ./d.yaml\n",
        c="base_config: ./d.yaml\n",
        d="lr: 5\n",
    )
    assert build(path).lr == 5.0


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("lr: 5e-4", "lr", 5e-4),
        ("lr: 1e5", "lr", 1e5),
        ("n_samples_per_ray: 1e3", "n_samples_per_ray", 1000),
        ("video_id: no", "video_id", "no"),
        ("video_id: 12:30", "video_id", "12:30"),
        ("video_id: 007", "video_id", "007"),
        ("use_pitch: yes", "use_pitch", True),
        ("use_pitch: False", "use_pitch", False),
        ("limit: null", "limit", None),
        ("limit: 2e-1", "limit", 0.2),
        ("sizes: [1, 2]", "sizes", [1, 2]),
        ("sizes:\n- 3\n- 4", "sizes", [3, 4]),
        ("names: [no, 1]", "names", ["no", "1"]),
        ("pair: [3, 4e-1]", "pair", (3, 0.4)),
        ("table: {a: 1e-2}", "table", {"a": 0.01}),
        ("mode: full", "mode", "full"),
    ],
)
def test_the_type_of_the_field_decides(tmp_path: Path, line: str, key: str, value: object) -> None:
    assert getattr(build(write(tmp_path, a=line)), key) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "lr: 1\n\n\nn_sample_per_ray: 3\n",
            r"a\.yaml:4: unknown key 'n_sample_per_ray'; did you mean 'n_samples_per_ray'\?",
        ),
        ("zzz: 3\n", r"a\.yaml:1: unknown key 'zzz'; see docs/configuration\.md"),
        ("lr: fast\n", r"a\.yaml:1: lr: input should be a valid number.*got 'fast'"),
        ("n_samples_per_ray: 1.5\n", r"a\.yaml:1: n_samples_per_ray: .*integer.*got 1\.5"),
        ("use_pitch: 1\n", r"a\.yaml:1: use_pitch: expected true or false, got '1'"),
        ("use_pitch: on\n", r"a\.yaml:1: use_pitch: expected true or false, got 'on'"),
        ("n_samples_per_ray: yes\n", r"a\.yaml:1: n_samples_per_ray: .*got 'yes'"),
        ("mode: slow\n", r"a\.yaml:1: mode: .*'fast' or 'full'.*got 'slow'"),
        ("lr: 1\nlr: 2\n", r"a\.yaml:2: key 'lr' was already given in line 1"),
        ("mode: full\nuse_pitch: yes\n", r"a\.yaml: mode=full cannot use pitch"),
        ("lr: [1\n", r"a\.yaml:2: not valid YAML"),
        ("- 1\n", r"a\.yaml:1: expected lines of 'key: value'"),
        ("lr: nan\n", r"a\.yaml:1: lr: .*finite"),
    ],
)
def test_errors_name_file_line_and_mend(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(write(tmp_path, a=text))


def test_overrides_split_at_commas_outside_brackets_and_quotes(tmp_path: Path) -> None:
    config = build(write(tmp_path, a=""), "lr=1e-4, sizes=[1,2,3],video_id='a,b',names=[x,'y,z']")
    assert (config.lr, config.sizes, config.video_id, config.names) == (1e-4, [1, 2, 3], "a,b", ["x", "y,z"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("lrr=1", "--hparams: unknown key 'lrr'; did you mean 'lr'?"),
        ("lr", "--hparams: expected key=value, found 'lr'"),
        ("lr=x", "--hparams: lr: input should be a valid number"),
        ("base_config=x", "--hparams: base_config can only be given in a file"),
        ("sizes=[1", "--hparams:1: not valid YAML"),
    ],
)
def test_wrong_overrides_are_refused(tmp_path: Path, overrides: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(write(tmp_path, a=""), overrides)
    assert message in str(caught.value)


def test_override_text_is_never_evaluated(tmp_path: Path) -> None:
    text = "__import__('os').getcwd()"
    assert build(write(tmp_path, a=""), f'video_id="{text}"').video_id == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no configuration file"):
        load_config(tmp_path / "nothing.yaml")


def test_description_tells_every_value_and_its_origin(tmp_path: Path) -> None:
    resolved = load_config(write(tmp_path, a="base_config: ./b.yaml\nlr: 2\n", b="\nvideo_id: Bo\n"), "num_workers=1")
    lines = dict(line.split(":", 1) for line in describe(build_config(Sample, resolved), resolved).splitlines())
    assert lines["lr"].split() == ["2.0", "#", "a.yaml:2"]
    assert lines["video_id"].split() == ["'Bo'", "#", "b.yaml:2"]
    assert lines["num_workers"].split() == ["1", "#", "--hparams"]
    assert lines["mode"].split() == ["'fast'", "#", "default"]


@given(value=st.floats(allow_nan=False, allow_infinity=False), sizes=st.lists(st.integers(-(10**9), 10**9)))
def test_any_number_survives_its_spelling(
    tmp_path_factory: pytest.TempPathFactory, value: float, sizes: list[int]
) -> None:
    path = write(tmp_path_factory.mktemp("yaml"), a="")
    config = build(path, f"lr={value!r},sizes={sizes}")
    assert config.lr == value
    assert config.sizes == sizes


def test_several_override_texts_are_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("lr: 1\n")
    resolved = load_config(file, ["lr=2,seed=3", "", "lr=4"])
    assert {key: str(value) for key, value in resolved.values.items()} == {"lr": "4", "seed": "3"}
