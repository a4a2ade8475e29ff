"""Read YAML configs strictly: unknown keys are errors, ``--set a.b=c`` overrides.

The schemas are in ``schema.py``. A resolved config, every default filled in, is saved beside every
output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from isoglot.config.presets import PRESETS, apply_preset
from isoglot.errors import ConfigError, IsoglotError, did_you_mean

__all__ = ["StrictModel", "load_config", "parse_config"]


class StrictModel(BaseModel):
    """A config section: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


ConfigT = TypeVar("ConfigT", bound=StrictModel)


def load_config(schema: type[ConfigT], path: Path | None, overrides: Iterable[str] = ()) -> ConfigT:
    """Read a YAML file, apply ``a.b=c`` overrides and validate.

    A key ``preset: NAME`` fills in that preset's values wherever the file has none.

    Raises:
        ConfigError: If the file cannot be read, is not YAML, or does not fit the schema.
    """
    values: dict[str, Any] = {} if path is None else _read_yaml(path)
    for override in overrides:
        _apply_override(values, override)
    if (preset := values.pop("preset", None)) is not None:
        values = apply_preset(_preset(preset), values)
    return parse_config(schema, values, where=str(path) if path else "config")


def parse_config(
    schema: type[ConfigT], values: Mapping[str, Any], where: str = "config"
) -> ConfigT:
    """Validate values against a schema.

    Raises:
        ConfigError: Naming every key that is unknown, missing or wrong, in one line.
    """
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        faults = "; ".join(_describe(schema, fault) for fault in error.errors())
        raise ConfigError(f"{where}: {faults}") from None
    except IsoglotError as error:
        raise ConfigError(f"{where}: {error}") from error


def _preset(name: object) -> Mapping[str, Any]:
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(
            f"preset: unknown preset {name!r}; allowed: {', '.join(PRESETS)}"
            f"{did_you_mean(str(name), PRESETS)}"
        )
    return PRESETS[name]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "syntax error"
        raise ConfigError(f"{path}{line}: not valid YAML ({problem})") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, got {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, raw = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override!r}: expected KEY=VALUE, such as batches.size=64")
    *parents, last = key.split(".")
    section: Any = values
    for parent in parents:
        section = _step_into(section, parent, override)
    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML") from error
    if isinstance(section, list):
        section[_list_index(section, last, override)] = value
    else:
        section[last] = value


def _step_into(section: Any, name: str, override: str) -> Any:  # noqa: ANN401 - YAML values
    if isinstance(section, list):
        return section[_list_index(section, name, override)]
    child = section.get(name)
    if child is None:
        child = section[name] = {}
    if not isinstance(child, dict | list):
        raise ConfigError(f"--set {override!r}: {name!r} is a value, not a section")
    return child


def _list_index(section: list[Any], name: str, override: str) -> int:
    if not name.isdigit() or int(name) >= len(section):
        raise ConfigError(
            f"--set {override!r}: {name!r} is not a position in a list of {len(section)}"
        )
    return int(name)


def _describe(schema: type[BaseModel], fault: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    location = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(schema, fault["loc"][:-1])
        hint = did_you_mean(str(fault["loc"][-1]), known)
        return f"unknown key {location!r}{hint or _list_keys(known)}"
    if fault["type"] == "missing":
        return f"missing key {location!r}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not location:
        return message
    return f"{location}: {message[0].lower()}{message[1:]}, got {fault['input']!r}"


def _list_keys(known: list[str]) -> str:
    return f"; allowed: {', '.join(known)}" if known else ""


def _known_keys(schema: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys allowed at a place in the schema, as far as plain sections lead there."""
    section: type[BaseModel] = schema
    for part in path:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part)
        if field is None:
            return []
        found = _section_of(field.annotation)
        if found is None:
            return []
        section = found
    return list(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type expression
    """Find the first config section named in a type such as ``list[Source] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_of(argument)
        if found is not None:
            return found
    return None
