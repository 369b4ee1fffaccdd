"""Form fields with the names that clients build: `a[b]=x`, `a[]=x`, `a[0]=x` (qs notation)."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

MAX_FIELDS = 1000
"""Fields in one form; qs itself stops at 1000."""

MAX_DEPTH = 5
"""Brackets behind a name; qs's own default."""

MAX_NAME_CHARACTERS = 1000
"""Of a field, brackets too; ours: names that clients build have some dozens."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")

ACCESS_TOKEN = "access_token"  # noqa: S105


class MalformedFormError(ValueError):
    """The form cannot be read; the message says why."""


def parse_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """The name and value pairs of an `application/x-www-form-urlencoded` body, in order."""
    try:
        return parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
            encoding="utf-8",
            errors="strict",
        )
    except UnicodeDecodeError as error:
        raise MalformedFormError("The form is not UTF-8.") from error
    except ValueError as error:
        raise MalformedFormError(f"The form has more than {MAX_FIELDS} fields.") from error


def nest(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Fields as a dict, bracketed names as dicts and lists in it; a repeated name becomes a list.

    Raises MalformedFormError when a name is nested too deep or stands for two kinds of value.
    """
    tree: dict[str, object] = {}
    for name, value in pairs:
        if len(name) > MAX_NAME_CHARACTERS:
            raise MalformedFormError(
                f"A field name has more than {MAX_NAME_CHARACTERS} characters."
            )
        match = _NAME.match(name)
        keys = [match[1], *_BRACKET.findall(match[2])] if match else [name]
        if len(keys) > MAX_DEPTH + 1:
            raise MalformedFormError(f"A field name has more than {MAX_DEPTH} brackets.")
        _put(tree, keys, value, name)
    return {key: _listed(value) for key, value in tree.items()}


def _put(tree: dict[str, object], keys: list[str], value: object, name: str) -> None:
    for key in keys[:-1]:
        child = tree.setdefault(key or str(len(tree)), {})
        if not isinstance(child, dict):
            raise MalformedFormError(f"The field {name[:80]!r} is both a value and a group.")
        tree = child
    last = keys[-1] or str(len(tree))
    before = tree.get(last)
    if before is None:
        tree[last] = value
    elif isinstance(before, list):
        before.append(value)
    elif isinstance(before, dict):
        raise MalformedFormError(f"The field {name[:80]!r} is both a value and a group.")
    else:
        tree[last] = [before, value]


def _listed(value: object) -> object:
    """Dicts whose keys are all indexes become lists, all the way down."""
    if not isinstance(value, dict):
        return value
    children = {key: _listed(child) for key, child in value.items()}
    if children and all(key.isascii() and key.isdigit() and len(key) < 6 for key in children):
        return [children[key] for key in sorted(children, key=int)]
    return children
