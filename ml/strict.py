"""Reading facts strictly: every key known, every value present, or an error that says which."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """A fact given from outside is wrong: what, which value, what is allowed, and what to do."""


def wrong(
    what: str, *, allowed: Collection[str] = (), given: str | None = None, hint: str = ""
) -> InputError:
    """Build the error for a wrong value; `given` is compared with `allowed` to suggest the nearest name."""
    message = what
    if allowed:
        message += f". Allowed: {', '.join(sorted(allowed))}"
    nearest = difflib.get_close_matches(given, list(allowed), n=1) if given is not None else []
    if nearest:
        hint = f"did you mean `{nearest[0]}`?" + (f" {hint}" if hint else "")
    return InputError(message + (f"\n\nhint: {hint}" if hint else ""))


def read_fields(cls: type[T], given: Mapping[str, Any], *, where: str) -> T:
    """Build the frozen dataclass `cls` from a mapping of plain values.

    Raises:
        InputError: no mapping, an unknown key, a missing one without default, or a value of another type.
    """
    if not isinstance(given, Mapping):
        raise wrong(f"Wrong value {given!r} for {where}: a table of keys and values is needed")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # pyright: ignore[reportArgumentType]
    for key in given:
        if key not in fields:
            raise wrong(f"Unknown key `{key}` in {where}", allowed=fields, given=key)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in given:
            values[name] = _typed(given[name], hints[name], f"`{name}` in {where}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise wrong(f"Missing key `{name}` in {where}", hint=f"add `{name} = ...`")
    return cls(**values)


def _typed(value: Any, expected: Any, where: str) -> Any:
    origin = typing.get_origin(expected)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(expected) if option is not type(None)]
        return None if value is None else _typed(value, options[0], where)
    if origin is typing.Literal:
        allowed = [str(option) for option in typing.get_args(expected)]
        if value not in typing.get_args(expected):
            raise wrong(f"Wrong value {value!r} for {where}", allowed=allowed, given=str(value))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise wrong(f"Wrong value {value!r} for {where}: a list is needed")
        return tuple(_typed(item, typing.get_args(expected)[0], f"an item of {where}") for item in value)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise wrong(f"Wrong value {value!r} for {where}: {expected.__name__} is needed")
    return value
