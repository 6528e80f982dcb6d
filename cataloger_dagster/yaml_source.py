"""YAML as a person wrote it: values with their lines, keys as text, and no key twice.

It parses one document and points at places in it; what the keys mean is not its business. No message
quotes the file: a line of it may hold a password.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cataloger_dagster.errors import ConfigurationError


@dataclass(frozen=True)
class Duplicate:
    """A key that stands twice in one mapping: the path to it, and its second line."""

    path: tuple[str | int, ...]
    line: int


@dataclass(frozen=True)
class Source:
    """A parsed document. ``value`` is plain data; every key in it is text, as written."""

    file: Path
    value: Any = field(repr=False)
    duplicates: tuple[Duplicate, ...]
    root: yaml.Node | None = field(repr=False)

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of the deepest part of *path* that stands in the file (a key's line is its own)."""
        node, line = self.root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            node, line = found
        return line

    def problem(self, path: Sequence[str | int], message: str, line: int | None = None) -> str:
        """Return *message* with the file, the line and the dotted path it is about."""
        place = ".".join(map(str, path))
        return f"{self.file}:{line or self.line(path)}: {place}{place and ': '}{message}"


def read_yaml(file: Path) -> Source:
    """Read *file*.

    Raises:
        ConfigurationError: it can't be read, or is no YAML.
    """
    text, fault = _text(file)
    if fault:
        raise ConfigurationError(fault)
    # Raised outside the handler: PyYAML's error quotes the line, and would follow ours as its context.
    parsed = _parse(file, text)
    if isinstance(parsed, str):
        raise ConfigurationError(parsed)
    return parsed


def _text(file: Path) -> tuple[str, str]:
    try:
        return file.read_text(encoding="utf-8-sig"), ""
    except FileNotFoundError:
        return "", f"{file}: no such file"
    except IsADirectoryError:
        return "", f"{file} is a folder; name a YAML file"
    except UnicodeDecodeError as error:
        return "", f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8"
    except OSError as error:
        return "", f"{file} can't be read: {error.strerror or type(error).__name__}"


def _parse(file: Path, text: str) -> Source | str:
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        builder = _Builder(loader)
        value = builder.build(root, ()) if root is not None else None
        return Source(file, value, tuple(builder.duplicates), root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it can't be parsed"
        return f"{file}:{mark.line + 1 if mark else 1}: no valid YAML: {_without_quotes(problem)}"
    except yaml.YAMLError:
        return f"{file}: no valid YAML: it holds characters that YAML forbids"
    except _Unreadable as error:
        return f"{file}:{error.line}: no valid YAML: {error}"
    except RecursionError:
        return f"{file}: no valid YAML: it is nested too deeply"
    finally:
        if loader is not None:
            loader.dispose()


def _without_quotes(problem: str) -> str:
    """Drop what PyYAML quotes from the file, but for single characters: it may be a piece of a password."""
    return re.sub(r"\s*'[^']{2,}'|\s*\"[^\"]{2,}\"", "", problem)


class _Unreadable(Exception):
    def __init__(self, message: str, node: yaml.Node) -> None:
        super().__init__(message)
        self.line: int = node.start_mark.line + 1


class _Builder:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.loader = loader
        self.duplicates: list[Duplicate] = []
        self.open: set[int] = set()

    def build(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self.open:
            raise _Unreadable("an alias holds itself", node)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, place)) for place, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode), "a node is a scalar, a sequence or a mapping"
            return self._mapping(node, path)
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, yaml.YAMLError):
            pass
        raise _Unreadable("a value is not what its form says (a date, a number?); put it in quotes", node)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Unreadable("a key is a list or a mapping; write a word", key)
            if key.tag == "tag:yaml.org,2002:merge":
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    base = self.build(source, path)
                    if not isinstance(base, dict):
                        raise _Unreadable("<< merges mappings only", value)
                    merged = base | merged
                continue
            if key.value in own:
                self.duplicates.append(Duplicate((*path, key.value), key.start_mark.line + 1))
            own[key.value] = self.build(value, (*path, key.value))
        return merged | own


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in _pairs(node):
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return value, key.start_mark.line + 1
    return None


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Yield a mapping's own pairs, then those it merges in."""
    yield from reversed(node.value)
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(source, yaml.MappingNode):
                    yield from _pairs(source)
