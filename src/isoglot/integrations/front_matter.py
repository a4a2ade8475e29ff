"""The ``model-index`` in the front matter of a model card, edited in place.

All other lines are left as they are: parsing and dumping the whole would lose comments and write
``no`` (Norwegian) as ``false``. For the same reason the index itself is edited as YAML nodes, which
keep the spelling of what others wrote there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from isoglot.errors import ArtifactError
from isoglot.evaluation.settings import SETTINGS

__all__ = ["add_results"]

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = "model-index"


class _Found(NamedTuple):
    """The lines around the index, and the index as values and as a node, if there is one."""

    before: str
    after: str
    value: Any
    node: yaml.Node | None


def add_results(card: str, entries: Sequence[dict[str, Any]], name: str, path: Path) -> str:
    """Return the card with entries in its model index, in the place of the benchmark's last ones.

    Args:
        card: The text of the card, with plain line ends.
        entries: Of one benchmark, a setting each, as ``card_text.model_index_entries`` makes them.
        name: The model's name in an index that is new.
        path: For error messages.

    Raises:
        ArtifactError: If the front matter is damaged or its model index has another form.
    """
    match = _FRONT_MATTER.match(card)
    if match is None:
        if card.lstrip().partition("\n")[0].rstrip() == "---":
            raise ArtifactError(
                f"{path}:1: the front matter has no closing line '---'; add it and run again"
            )
        return f"---\n{_dump(_new_index(entries, name))}---\n\n{card}"
    found = _find(match[1], path)
    index = _merge(found, entries, path) if found.value else _new_index(entries, name)
    start, end = match.span(1)
    return f"{card[:start]}{found.before}{_dump(index)}{found.after}{card[end:]}"


def _find(block: str, path: Path) -> _Found:
    """Find the index among the lines of the front matter."""
    root, values = _parse(block, path)
    if root is None:  # empty, or comments only
        return _Found(block, "", None, None)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise ArtifactError(
            f"{path}:2: the front matter must have one key per line, such as 'license: mit'; "
            "mend it and run again"
        )
    lines = block.splitlines(keepends=True)
    for key, value in root.value:
        if key.value == _KEY:
            start = key.start_mark.line
            # A block ends where the next key begins, anything else within its last line.
            end = value.end_mark.line + (value.end_mark.column > root.start_mark.column)
            while end > start + 1 and lines[end - 1].lstrip()[:1] in ("", "#"):
                end -= 1  # comments before the next key belong to that
            return _Found("".join(lines[:start]), "".join(lines[end:]), values[_KEY], value)
    return _Found(block, "", None, None)


def _parse(block: str, path: Path) -> tuple[yaml.Node | None, Any]:
    try:
        return yaml.compose(block, Loader=yaml.SafeLoader), yaml.safe_load(block)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 2 + (mark.line if mark else 0)  # marks count from 0, below the opening line
        problem = getattr(error, "problem", None) or error
        raise ArtifactError(
            f"{path}:{line}: the front matter is not valid YAML ({problem}); mend it and run again"
        ) from error


def _merge(found: _Found, entries: Sequence[dict[str, Any]], path: Path) -> yaml.Node:
    """Put the entries among the results of the index's first model, in the place of ours."""
    try:
        values = found.value[0]["results"]
        results = next(v for k, v in found.node.value[0].value if k.value == "results")  # type: ignore[union-attr]
        datasets = [_dataset(value) for value in values]
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError):
        raise ArtifactError(
            f"{path}: model-index in the front matter must be a list of models with results; "
            "mend or remove it and run again"
        ) from None
    benchmark = _dataset(entries[0])[0]
    ours = [d[0] == benchmark and d[1] in SETTINGS for d in datasets]
    place = ours.index(True) if any(ours) else len(ours)
    kept = [(i, node) for i, node in enumerate(results.value) if not ours[i]]
    results.value = [
        *(node for i, node in kept if i < place),
        *map(_node, entries),
        *(node for i, node in kept if i > place),
    ]
    results.flow_style = False
    assert found.node is not None
    return found.node


def _dataset(entry: dict[str, Any]) -> tuple[Any, Any]:
    """Return which benchmark and setting an entry is about."""
    dataset = entry["dataset"]
    return dataset.get("type"), dataset.get("config")


def _new_index(entries: Sequence[dict[str, Any]], name: str) -> yaml.Node:
    return _node([{"name": name, "results": list(entries)}])


def _node(value: Any) -> yaml.Node:  # noqa: ANN401 - any YAML value
    dumper = yaml.SafeDumper(io.StringIO(), sort_keys=False, default_flow_style=False)
    node: yaml.Node = dumper.represent_data(value)
    return node


def _dump(index: yaml.Node) -> str:
    key = yaml.ScalarNode("tag:yaml.org,2002:str", _KEY)
    root = yaml.MappingNode("tag:yaml.org,2002:map", [(key, index)], flow_style=False)
    text: str = yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True, width=10_000)
    return text
