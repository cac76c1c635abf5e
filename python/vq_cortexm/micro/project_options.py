"""Options of a project, checked against what its server says it takes.

A server of another's may say less of an option than ours, and have types of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ..errors import UsageError

ProjectOptions = dict[str, Any]
_TYPES: dict[str, type] = {"bool": bool, "int": int, "str": str}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ProjectOptionError(UsageError, ValueError):
    """An option that the project does not take, or a value that it cannot have."""


def check_options(options: Mapping[str, Any], known: Sequence[Mapping[str, Any]]) -> ProjectOptions:
    """The options with values of their types. `known` are those that a server describes."""
    by_name = {option["name"]: option for option in known}
    checked: ProjectOptions = {}
    for name, value in options.items():
        if name not in by_name:
            close = get_close_matches(name, by_name, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ProjectOptionError(
                f"unknown project option {name!r}; {hint}known: {', '.join(by_name)}"
            )
        checked[name] = _check_value(by_name[name], value)
    return checked


def require_options(
    options: Mapping[str, Any], known: Sequence[Mapping[str, Any]], method: str
) -> None:
    """Raises ProjectOptionError if one is missing that `method` needs."""
    for option in known:
        if method in (option.get("required") or ()) and option["name"] not in options:
            choices = f" ({', '.join(option['choices'])})" if option.get("choices") else ""
            raise ProjectOptionError(
                f"project option {option['name']!r} is needed to {method.replace('_', ' ')}: "
                f"{option.get('help', '')}{choices}"
            )


def parse_options(words: Sequence[str]) -> ProjectOptions:
    """The options of texts NAME=VALUE."""
    options: ProjectOptions = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ProjectOptionError(f"project option {word!r}: NAME=VALUE works")
        options[name] = value
    return options


def _check_value(option: Mapping[str, Any], value: Any) -> Any:
    name, kind = option["name"], option.get("type")
    if kind in _TYPES:
        if isinstance(value, str) and kind != "str":
            value = _parse_value(kind, value)
        # a bool is an int, but no number
        if not isinstance(value, _TYPES[kind]) or (kind == "int" and isinstance(value, bool)):
            what = {"bool": "true or false", "int": "a whole number", "str": "a text"}[kind]
            raise ProjectOptionError(f"project option {name!r} takes {what}")
    if option.get("choices") and str(value) not in [str(choice) for choice in option["choices"]]:
        close = get_close_matches(str(value), option["choices"], n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ProjectOptionError(
            f"project option {name!r} cannot be {value!r}; {hint}known: "
            + ", ".join(map(str, option["choices"]))
        )
    return value


def _parse_value(kind: str, text: str) -> Any:
    """The value of a text, or the text where it has none."""
    if kind == "bool":
        return _WORDS.get(text.lower(), text)
    try:
        return int(text, 0)
    except ValueError:
        return text
