"""YAML as text with positions: every key knows its line, and a scalar stays the text that was typed.

PyYAML's own typing reads ``5e-4`` as a string, ``no`` as False and ``12:30`` as 750. Here the type of the field
decides (:func:`typed`), so plain scalars stay strings until the field is known.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import TypeAdapter

from utils.commons.schema import ConfigError

_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_NULL = ("null", "~", "")


@dataclass(frozen=True)
class Entry:
    """One key of a YAML file: its raw value (text, list or dict of such) and the line it stands in, from 1."""

    key: str
    value: Any
    line: int


def parse_mapping(text: str, where: str) -> list[Entry]:
    """Return the entries of a YAML mapping in order.

    Raises:
        ConfigError: Not YAML, not a flat mapping of names, or a key given twice.
    """
    node = _compose(text, where)
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{where}:{node.start_mark.line + 1}: expected lines of 'key: value', found {text.strip()[:40]!r}"
        )
    entries: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in entries:
            raise ConfigError(
                f"{where}:{line}: key {key!r} was already given in line {entries[key].line}; remove one of them"
            )
        entries[key] = Entry(key, _raw(value_node), line)
    return list(entries.values())


def parse_value(text: str, where: str) -> Any:
    """Return one value spelled in YAML: text, or a list or dict of texts."""
    node = _compose(text, where)
    return "" if node is None else _raw(node)


def split_overrides(text: str, where: str = "--hparams") -> Iterator[tuple[str, Any]]:
    """Yield ``key, raw value`` of ``a=1,b=[1,2]``; a comma inside brackets or quotes does not split."""
    for part in _split_commas(text):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{where}: expected key=value, found {part.strip()!r}; separate pairs by commas")
        yield key.strip(), parse_value(value.strip(), where)


def _split_commas(text: str) -> list[str]:
    parts, depth, quote, start = [], 0, "", 0
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _compose(text: str, where: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where}{line}: not valid YAML: {problem}") from error


def _raw(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_raw(child) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _raw(value) for key, value in node.value}
    return str(node.value)


def typed(raw: Any, annotation: Any) -> Any:
    """Return the raw value as the field's type wants it; what fits no rule stays as it is, for pydantic to refuse.

    Raises:
        ValueError: A bool spelled in another way than true, false, yes, no.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return typed(raw, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _typed_union(raw, arguments)
    if origin is typing.Literal:
        return next((choice for choice in arguments if str(choice) == raw), raw)
    if isinstance(raw, list) and origin in (list, tuple, set, frozenset):
        kinds = arguments if origin is tuple and Ellipsis not in arguments else arguments[:1] * len(raw)
        return [typed(item, kind) for item, kind in zip(raw, kinds, strict=False)] + raw[len(kinds) :]
    if isinstance(raw, dict) and origin is dict:
        return {key: typed(value, arguments[1]) for key, value in raw.items()}
    return _typed_scalar(raw, annotation) if isinstance(raw, str) else raw


def _typed_union(raw: Any, kinds: tuple[Any, ...]) -> Any:
    if type(None) in kinds and raw in _NULL:
        return None
    for kind in sorted((kind for kind in kinds if kind is not type(None)), key=lambda kind: kind is str):
        try:
            value = typed(raw, kind)
            TypeAdapter(kind).validate_python(value)
        except ValueError:
            continue
        return value
    return raw


def _typed_scalar(raw: str, annotation: Any) -> Any:
    if annotation is bool:
        if raw.lower() not in _TRUE + _FALSE:
            raise ValueError(f"expected true or false, got {raw!r}")
        return raw.lower() in _TRUE
    return _number(raw, annotation) if annotation in (int, float) else raw


def _number(raw: str, kind: type) -> Any:
    try:
        value = float(raw)
    except ValueError:
        return raw
    if kind is float:
        return value
    if raw.lstrip("+-").isdigit():
        return int(raw)
    return int(value) if math.isfinite(value) and value.is_integer() else value
