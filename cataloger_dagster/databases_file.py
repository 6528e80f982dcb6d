"""Reading ``databases.yaml``, at the door: from what stands in the file to the databases, or to what is wrong.

A fault of one entry is that entry's; the others go on. Every fault names file, line, value and remedy, and
no password. YAML with lines is in ``yaml_source``.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cataloger_dagster import servers
from cataloger_dagster.databases import Budget, Database, Databases, check_name, meant, short
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.urls import FileURL, ServerURL, expand, expand_url, parse_url
from cataloger_dagster.yaml_source import Source, read_yaml


def load_databases(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Databases:
    """Read *path*; ``${VAR}`` is taken from *environ* (default: the process's own).

    Raises:
        ConfigurationError: the file as a whole is wrong: missing, no YAML, an unknown key beside ``databases``.
    """
    file = Path(path)
    source = read_yaml(file)
    environ = os.environ if environ is None else environ
    if source.value is None:
        raise ConfigurationError(f"{file} is empty; write databases: {{}} for none")
    faults = _top_faults(source)
    if faults:
        raise ConfigurationError("\n".join(faults))
    defaults, entries = source.value.get("defaults") or {}, source.value.get("databases") or {}
    faults = _default_faults(source, defaults, environ)
    if faults:
        raise ConfigurationError("\n".join(faults))
    good: dict[str, Database] = {}
    broken: dict[str, ConfigurationError] = {}
    for name, entry in entries.items():
        database = _entry(source, name, entry, defaults, environ)
        if isinstance(database, Database):
            good[name] = database
        else:
            broken[name] = ConfigurationError("\n".join(database))
    return Databases(file, good, broken)


def _top_faults(source: Source) -> list[str]:
    if not isinstance(source.value, dict):
        return [source.problem((), f"{_kind(source.value)} where a mapping is due; begin with databases:")]
    faults = [
        source.problem((key,), f"unknown key{meant(key, _TOP)}; the file takes {' and '.join(_TOP)}")
        for key in source.value
        if key not in _TOP
    ]
    faults += _duplicates(source, *((key,) for key in _TOP), depth=1)
    faults += _duplicates(source, ("defaults",))
    for key in _TOP:
        value = source.value.get(key)
        if not isinstance(value, dict | None):
            faults.append(source.problem((key,), f"{_kind(value)} where a mapping is due; write {key}: {{}} for none"))
    if not faults and "databases" not in source.value:
        faults.append(source.problem((), "the key databases is missing; write databases: {} for none"))
    return faults


_TOP = ("defaults", "databases")
_OWN = frozenset({"name", "url", "context"})
"""Settings that an entry alone can have: defaults don't take them."""


def _default_faults(source: Source, defaults: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    faults = [
        source.problem(("defaults", key), f"{key} belongs to one database; move it to its entry")
        for key in defaults
        if key in _OWN
    ]
    values = {key: value for key, value in defaults.items() if key not in _OWN}
    result = _parse(source, "defaults", {**values, "url": "duckdb://x"}, values, {}, environ)
    return faults if isinstance(result, Database) else faults + result


def _entry(
    source: Source, name: str, entry: Any, defaults: Mapping[str, Any], environ: Mapping[str, str]
) -> Database | list[str]:
    place = ("databases", name)
    fault = ""
    try:
        check_name(name)
    except ConfigurationError as error:
        fault = str(error)
    faults = [source.problem(place, fault).replace(f"databases.{name}: ", "databases: ", 1)] if fault else []
    faults += _duplicates(source, place)
    if not isinstance(entry, dict):
        return [*faults, source.problem(place, f"{_kind(entry)} where settings are due; write at least url:")]
    merged = {**defaults, **entry}
    if isinstance(defaults.get("budget"), dict) and isinstance(entry.get("budget"), dict):
        merged["budget"] = {**defaults["budget"], **entry["budget"]}
    result = _parse(source, name, merged, entry, defaults, environ)
    if isinstance(result, Database):
        return faults or result
    return faults + result


def _parse(
    source: Source,
    name: str,
    merged: Mapping[str, Any],
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Database | list[str]:
    """Return the database that *merged* describes, or what is wrong with it."""
    own = ("defaults",) if name == "defaults" and not defaults else ("databases", name)
    faults: list[str] = []

    def place(path: Sequence[str | int]) -> tuple[str | int, ...]:
        inherited = bool(path) and path[0] not in entry and path[0] in defaults
        return ("defaults", *path) if inherited else (*own, *path)

    def filled(value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {key: filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item, (*path, position)) for position, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return expand_url(value, environ) if path == ("url",) else expand(value, environ)
        except ConfigurationError as error:
            faults.append(source.problem(place(path), str(error)))
            return None

    values = filled(dict(merged), ())
    if faults:
        return faults
    if "name" in values:
        return [source.problem(place(("name",)), "unknown key; an entry's name is its key")]
    if own[0] == "databases" and isinstance(values.get("url"), str):
        try:
            values["url"] = _complete(values["url"], source.file, environ)
        except ConfigurationError as error:
            faults.append(source.problem(place(("url",)), str(error)))
            values["url"] = "duckdb://x"  # for the faults of the other keys
    try:
        database = Database.model_validate({**values, "name": name})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    else:
        return faults or database
    for detail in details:
        path = tuple(part for part in detail["loc"] if part != "[key]")
        written = _written(merged, path)
        faults.append(source.problem(place(path), _message(detail, path, written)))
    return faults


def _complete(url: str, file: Path, environ: Mapping[str, str]) -> str:
    """Return *url* with relative paths counted from the folder of *file*, and a server's completed from *environ*.

    Raises:
        ConfigurationError: it can't be read, or not be completed.
    """
    address, folder = parse_url(url), file.absolute().parent
    if isinstance(address, ServerURL):
        return servers.complete(address, environ, folder).with_secrets()
    return str(FileURL(address.backend, folder / address.path))


_EXPECTED = {
    "string_type": "text is due; put it in quotes",
    "list_type": "a list is due, like [a, b]",
    "tuple_type": "a list is due, like [a, b]",
    "dict_type": "a mapping is due, like {key: value}",
    "model_type": "a mapping is due, like {tokens: 200000, steps: 40, minutes: 20}",
    "int_type": "a whole number is due",
    "int_from_float": "a whole number is due",
    "float_type": "a number is due",
    "bool_type": "true or false is due",
    "finite_number": "a finite number is due",
    "string_too_short": "it is empty; leave the key out, or give a value",
    "too_short": "the list is empty; leave the key out for the default",
}


def _message(detail: Mapping[str, Any], path: Sequence[str | int], written: Any) -> str:
    kind = str(detail["type"])
    if kind == "extra_forbidden":
        known = list(Budget.model_fields) if len(path) == 2 else [key for key in Database.model_fields if key != "name"]
        return f"unknown key{meant(str(path[-1]), known)}; known: {', '.join(known)}"
    if kind == "missing":
        return "it is missing; write it, like url: duckdb://data/shop.duckdb"
    if kind in ("string_type", "model_type") and path == ("url",):
        return f"{_kind(written)} where a connection URL is due, like duckdb://data/shop.duckdb"
    expected = _EXPECTED.get(kind)
    if expected is None:
        # Our own validators' words, and pydantic's "Input should be …"; neither holds the input.
        expected = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    if path == ("url",) or written in ([], {}):
        return expected  # the URL may hold a password, also where it can't be read
    if isinstance(written, dict | list):
        return f"{_kind(written)} where {expected}"
    return f"{short(written)}: {expected}"


def _written(merged: Mapping[str, Any], path: Sequence[str | int]) -> Any:
    """Return the value at *path* as it stands in the file, variables unfilled."""
    value: Any = merged
    for step in path:
        known = step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int)
        if not known:
            break
        value = value[step]
    return value


def _duplicates(source: Source, *places: tuple[str | int, ...], depth: int | None = None) -> list[str]:
    """Return the faults of keys that stand twice at or under *places*, at most *depth* parts deep."""
    return [
        f"{source.file}:{duplicate.line}: {'.'.join(map(str, duplicate.path))}: the key stands twice; remove one"
        for duplicate in source.duplicates
        if (depth is None or len(duplicate.path) <= depth)
        and any(duplicate.path[: len(place)] == place for place in places)
    ]


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), "a date")
