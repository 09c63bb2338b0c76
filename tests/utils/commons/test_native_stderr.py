from __future__ import annotations

import os
import threading

import pytest

from utils.commons.native_stderr import quiet_native_stderr

NOISE = b"W0000 00:00:1 3783 inference_feedback_manager.cc:114] Feedback manager requires a model\n"


def test_known_chatter_is_dropped_and_every_other_line_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_native_stderr():
        os.write(2, NOISE + b"E0000 out of memory\n")
        assert capfd.readouterr().err == ""
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "E0000 out of memory\nafter\n"


def test_lines_come_through_after_an_error_inside(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with quiet_native_stderr():
            os.write(2, b"why\n")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert capfd.readouterr().err == "why\n"


def test_overlapping_threads_leave_the_descriptor_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in range(20):
            with quiet_native_stderr():
                os.write(2, NOISE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
