from __future__ import annotations

from pathlib import Path

import pytest

from scripts.bench import main, report


def test_the_report_shows_what_was_measured_and_only_that() -> None:
    row = {"backend": "cpp", "tier": "fast", "size": 256, "ms": 20.0, "frames_per_second": 50.0, "samples": 7}
    machine = {"cpu": "a CPU", "cores": 2, "torch": "2"}
    draw = {"rows": [row | {"stages": {"state": 2.0, "detail": 0.0}}], "peak_memory_gb": 0.5}
    results = {"video_id": "tim", "machine": machine, "draw": draw}
    assert "| cpp | fast | 256 | 20.0 | 50.0 | 7 | state 2.0 | - |" in report(results)
    assert "training" not in report(results)
    training = {"rays_per_second": 9, "rays": 8, "step_ms": 1, "batch_ms": 1, "amp": "off", "processes": 2}
    text = report(results | {"training": training | {"peak_memory_gb": 2.0}, "vanilla": {"seconds_512": 1600}})
    assert "| 20000 |" in text, "1600 s / 4 over 20 ms"
    assert "training: 9 rays/s" in text
    assert "draw 0.5, training 2.0" in text
    seconds = {"sound_seconds": 3600, "decoding_seconds": 5, "predicting_seconds": 90, "filtering_seconds": 1}
    row = seconds | {"times_real_time": 37.5, "memory_before_gb": 0.6, "memory_after_gb": 0.9}
    assert "3600 s of speech to landmarks: decoding 5, predicting 90" in report(results | {"landmarks": {"row": row}})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tim", "--parts", "draw,dream"], "'dream' is none of draw, landmarks, video, training, vanilla"),
        (["tim", "--tiers", "slow"], "'slow' is none of full, fast, preview"),
        (["tim", "--sizes", "256,0"], "sizes must be whole numbers of 32 to 4096 pixels, got '256,0'"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_a_person_that_is_not_there_ends_it_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENEFACE_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no dataset of 'nobody'"):
        main(["nobody"])
    assert not list(tmp_path.iterdir())
