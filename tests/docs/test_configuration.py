from __future__ import annotations

from utils.commons.config_docs import known_configs, render_docs
from utils.data.paths import CODE_ROOT


def test_configuration_page_is_current() -> None:
    page = CODE_ROOT / "docs" / "configuration.md"
    assert page.exists(), "run: python scripts/make_config_docs.py"
    assert page.read_text(encoding="utf-8") == render_docs(), "run: python scripts/make_config_docs.py"


def test_every_key_is_on_the_page_and_explained() -> None:
    text = render_docs()
    for model in known_configs():
        for name, field in model.model_fields.items():
            assert f"| `{name}`" in text
            assert field.description, f"{model.__name__}.{name} needs a string below it that says what it is"
