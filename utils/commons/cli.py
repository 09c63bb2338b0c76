"""What every command-line program does at its two ends: logging before, one clear line on an error after."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from utils.commons.logs import setup_logging
from utils.commons.schema import ConfigError, DataError, TrainingError

USER_ERROR = 2
"""Exit code when the user's input, configuration or files are at fault."""


def run_main(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run ``main(sys.argv[1:])`` and exit: errors the user can mend become one line ``error: ...`` and exit code 2."""
    setup_logging(logging.WARNING if int(os.environ.get("RANK", "0")) > 0 else logging.INFO)
    try:
        main(sys.argv[1:])
    except (ConfigError, DataError, TrainingError, FileNotFoundError, PermissionError, NotADirectoryError) as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            raise
        _fail(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    sys.exit(0)


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"error: {text}\n")
    sys.exit(USER_ERROR)
