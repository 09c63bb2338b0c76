from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from utils.commons.cli import run_main
from utils.commons.schema import ConfigError, DataError, TrainingError
from utils.data.paths import CODE_ROOT


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("bad"),
        DataError("bad"),
        TrainingError("bad"),
        FileNotFoundError("bad"),
        PermissionError("bad"),
        OSError(errno.ENOSPC, "bad"),
    ],
)
def test_errors_of_the_user_become_one_line_and_code_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def main(arguments: Sequence[str]) -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_main(main)
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    assert "bad" in text


@pytest.mark.parametrize("error", [ValueError("ours"), OSError(errno.EIO, "disk"), AssertionError()])
def test_errors_of_ours_keep_their_trace(error: Exception) -> None:
    def main(arguments: Sequence[str]) -> None:
        raise error

    with pytest.raises(type(error)):
        run_main(main)


def test_success_ends_with_code_0() -> None:
    with pytest.raises(SystemExit) as caught:
        run_main(lambda arguments: None)
    assert caught.value.code == 0


def test_process_settings_are_made_before_torch_is_imported() -> None:
    code = "from utils.commons.malloc import tune_process; tune_process(); import sys; sys.exit('torch' in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    assert subprocess.run([sys.executable, "-c", code], cwd=CODE_ROOT, env=environment, check=False).returncode == 0
