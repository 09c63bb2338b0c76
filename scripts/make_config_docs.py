"""Write docs/configuration.md: ``python scripts/make_config_docs.py [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.commons.cli import run_main
from utils.commons.config_docs import render_docs
from utils.commons.schema import ConfigError
from utils.data.atomic import atomic_path
from utils.data.paths import CODE_ROOT


def main(arguments: Sequence[str]) -> None:
    target, text = CODE_ROOT / "docs" / "configuration.md", render_docs()
    if "--check" in arguments:
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            raise ConfigError("docs/configuration.md is out of date; run: python scripts/make_config_docs.py")
        return
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_main(main)
