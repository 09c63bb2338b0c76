from __future__ import annotations

from scripts.bench import report


def test_the_report_shows_what_was_measured_and_only_that() -> None:
    row = {"backend": "cpp", "tier": "fast", "size": 256, "ms": 20.0, "frames_per_second": 50.0, "samples": 7}
    machine = {"cpu": "a CPU", "cores": 2, "torch": "2"}
    draw = {"rows": [row | {"stages": {"state": 2.0, "detail": 0.0}}], "peak_memory_gb": 0.5}
    results = {"video_id": "tim", "machine": machine, "draw": draw}
    assert "| cpp | fast | 256 | 20.0 | 50.0 | 7 | state 2.0 | - |" in report(results)
    assert "training" not in report(results)
    training = {"vanilla_seconds_512": 1600, "rays_per_second": 9, "rays": 8, "step_ms": 1, "batch_ms": 1, "amp": "off"}
    text = report(results | {"training": training | {"peak_memory_gb": 2.0}})
    assert "| 20000 |" in text, "1600 s / 4 over 20 ms"
    assert "training: 9 rays/s" in text
    assert "draw 0.5, training 2.0" in text
