"""Keys and where they come from: the file, the environment, the call.

A later layer wins, key by key. A value that is a list or a table with free keys is one
key and is replaced as a whole, so that an entry of the file can be removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Path
from trioq.core.config.redis_url import split
from trioq.core.config.rules import Fault
from trioq.core.config.sections import Config

Tree = dict[str, Any]
"""Keys as TOML gives them."""


@attrs.frozen
class Layer:
    """Some keys from one place."""

    tree: Tree
    variables: Mapping[Path, str] = attrs.field(factory=dict)
    """Which keys came from which environment variable."""
    lines: Sequence[str] = ()
    """Faults that were found while it was read."""
    wrong: Sequence[Path] = ()
    """The keys that these are about."""
    notes: Sequence[str] = ()
    """What is odd, but no fault."""
    quoted: Collection[str] = ()
    """The variables whose text stands in quotes."""


@attrs.frozen
class Merged:
    """All layers in one."""

    tree: Tree
    variables: dict[Path, str]
    faults: list[Fault]


def merged(layers: Sequence[Layer]) -> Merged:
    """Lay the layers over each other, and take the Redis URL that holds apart."""
    url_of = max((i for i, layer in enumerate(layers) if "url" in _redis(layer.tree)), default=None)
    tree: Tree = {}
    variables: dict[Path, str] = {}
    faults: list[Fault] = []
    for index, layer in enumerate(layers):
        origins = dict(layer.variables)
        # Only the URL that holds: a password in another one isn't for this server.
        if index == url_of:
            faults += _spread_url(_redis(layer.tree), origins)
        for path in merge(tree, layer.tree, Config):
            variables.pop(path, None)
            if path in origins:
                variables[path] = origins[path]
    return Merged(tree, variables, faults)


def merge(below: Tree, above: Tree, section: type, path: Path = ()) -> Iterator[Path]:
    """Put the keys of ``above`` into ``below``; yields what was set."""
    known = entries(section)
    for key, value in above.items():
        kind = known[key].kind if key in known else None
        if isinstance(kind, Section) and isinstance(value, dict) and kind.shape != "list":
            into = below.setdefault(key, {})
            if isinstance(into, dict):
                if kind.shape == "one":
                    yield from merge(into, value, kind.of, (*path, key))
                else:
                    yield from _merge_named(into, value, kind.of, (*path, key))
                continue
        below[key] = value
        yield (*path, key)


def _merge_named(below: Tree, above: Tree, section: type, path: Path) -> Iterator[Path]:
    for name, value in above.items():
        into = below.setdefault(name, {})
        if isinstance(into, dict) and isinstance(value, dict):
            yield from merge(into, value, section, (*path, name))
        else:
            below[name] = value
            yield (*path, name)


def under(path: Path, paths: Iterable[Path]) -> Path | None:
    """Which of the paths is this one, or one above it."""
    return next((each for each in paths if path[: len(each)] == each), None)


def _redis(tree: Tree) -> Tree:
    redis = tree.get("redis")
    return redis if isinstance(redis, dict) else {}


def _spread_url(redis: Tree, variables: dict[Path, str]) -> Iterator[Fault]:
    """Move user, password and database from the URL to keys of their own."""
    try:
        parts = split(redis["url"])
    except (ValueError, TypeError):
        return  # reported when the key is read, in the same words as always
    redis["url"] = parts.url
    for key in ("username", "password", "db"):
        value = getattr(parts, key)
        if value is None:
            continue
        if redis.get(key, "") != "":
            yield Fault(("redis", key), "stands in redis.url as well; give it once")
            continue
        redis[key] = value
        if ("redis", "url") in variables:
            variables["redis", key] = variables["redis", "url"]
