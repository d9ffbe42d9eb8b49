"""Configurations come back from their text; no fault goes unreported; nothing else is raised."""

from __future__ import annotations

import pathlib
import string
from typing import Any

import attrs
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.config import (
    Backoff,
    CommandConfig,
    Config,
    ProducerConfig,
    QueueConfig,
    ReaperConfig,
    RedisConfig,
    Secret,
    WorkerConfig,
    check,
)
from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Flag, Kind, ListOf, OneOrMore, Path, TableOf, Text
from trioq.core.config.numbers import Number, Size, Whole
from trioq.core.config.rules import dotted
from trioq.core.config.texts import Hidden, RedisAddress
from trioq.errors import ConfigError
from trioq.settings import as_toml, parse
from trioq.settings.environ import variable_of
from trioq.settings.write import toml_value

HERE = pathlib.Path("/srv")


def read(text: str, environ: dict[str, str] | None = None) -> Config:
    return parse(text, name="jobqueue.toml", directory=HERE, environ=environ or {})


def outcome(
    text: str, environ: dict[str, str] | None = None
) -> tuple[Config | None, tuple[str, ...]]:
    """A sound configuration, or the faults; any other error goes through."""
    try:
        config = read(text, environ)
    except ConfigError as error:
        return None, error.faults
    check(config)
    return config, ()


# --- any valid configuration ----------------------------------------------------------

NAMES = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64)
PRINTABLE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
)
URLS = st.sampled_from(
    ["embedded:.trioq", "redis://h", "redis://[::1]:7", "rediss://h:1", "unix:///run/r.sock"]
)


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Any value of a kind."""
    match kind:
        case RedisAddress():
            return URLS
        case Hidden():
            return PRINTABLE.map(Secret)
        case Flag():
            return st.booleans()
        case Whole() | Size():
            low = int(kind.at_least)
            return st.integers(low, int(kind.at_most if kind.at_most is not None else 2**53))
        case Number():
            low = kind.at_least if kind.above is None else kind.above
            return st.floats(low, kind.at_most, exclude_min=kind.above is not None).map(abs)
        case OneOrMore():
            each = values(kind.item)
            return each | st.lists(each, min_size=1, max_size=3, unique=True).map(tuple)
        case ListOf():
            return st.lists(values(kind.item), min_size=kind.at_least, max_size=3).map(tuple)
        case Text() if kind.choices:
            return st.sampled_from(kind.choices)
        case Text() if kind.pattern.startswith("(?s:"):
            texts = PRINTABLE if kind.pattern == "(?s:.+)" else PRINTABLE | st.just("")
            return texts.filter(kind.allows)
        case Text():
            return st.from_regex(kind.pattern, fullmatch=True).filter(kind.allows)
    raise AssertionError(kind)


def sections(section: type, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any instance of a section; ``fixed`` are the fields that a rule has a say in."""
    fields = {}
    for entry in entries(section).values():
        if isinstance(entry.kind, Section | TableOf) or entry.field in fixed:
            continue
        some = values(entry.kind)
        fields[entry.field] = st.none() | some if entry.unsettable else some
    return st.builds(section, **{**fields, **fixed})


@st.composite
def workers(draw: st.DrawFn) -> WorkerConfig:
    beat_s, base_s = draw(st.floats(1e-3, 1e6)), draw(st.floats(0, 1e6))
    return draw(
        sections(
            WorkerConfig,
            heartbeat_interval_s=st.just(beat_s),
            lease_s=st.floats(4 * beat_s, 1e7),
            backoff=sections(
                Backoff, base_s=st.just(base_s), cap_s=st.floats(base_s, 1e6).map(abs)
            ),
        )
    )


@st.composite
def redises(draw: st.DrawFn) -> RedisConfig:
    none = st.none()
    redis: RedisConfig = draw(sections(RedisConfig, tls_ca=none, tls_cert=none, tls_key=none))
    if redis.url.startswith("rediss"):
        ca, pair = draw(none | PRINTABLE), draw(none | PRINTABLE)
        redis = attrs.evolve(redis, tls_ca=ca, tls_cert=pair, tls_key=pair)
    return redis


def queues_called(name: str) -> st.SearchStrategy[QueueConfig]:
    """A queue, without the limits that are refused for now."""
    no_limits = {"rate": st.none(), "concurrency": st.none()}
    queues: st.SearchStrategy[QueueConfig] = sections(QueueConfig, name=st.just(name), **no_limits)
    return queues.map(_full_where_it_can_be)


def _full_where_it_can_be(queue: QueueConfig) -> QueueConfig:
    return queue if queue.max_length is not None else attrs.evolve(queue, when_full=None)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    known = st.sampled_from(names)
    extensions = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6))
    by_queue: dict[str, tuple[str, ...]] = {}
    for extension in extensions:
        name = draw(known)
        by_queue[name] = (*by_queue.get(name, ()), f".{extension}")
    commands = {
        name: draw(
            sections(
                CommandConfig,
                name=st.just(name),
                argv=st.lists(PRINTABLE.map(_literal), min_size=1, max_size=3).map(tuple),
                queue=st.none() | known,
                env=st.dictionaries(st.from_regex("[A-Z_]{1,5}", fullmatch=True), PRINTABLE),
            )
        )
        for name in draw(st.lists(NAMES, max_size=2, unique=True))
        if name != "fingerprint"
    }
    worker = draw(workers())
    plain = {
        entry.field: sections(entry.kind.of)
        for entry in entries(Config).values()
        if isinstance(entry.kind, Section) and entry.key in ("limiter", "circuit_breaker")
    }
    return draw(
        sections(
            Config,
            queues=st.tuples(*(queues_called(name) for name in names)),
            default_queue=known,
            redis=redises(),
            worker=st.just(worker),
            producer=st.none()
            | sections(
                ProducerConfig,
                default_queue=st.none() | known,
                queues_by_extension=st.just(by_queue),
            ),
            reaper=st.builds(ReaperConfig, interval_s=st.floats(1e-6, worker.lease_s / 3)),
            commands=st.just(commands),
            directory=st.just(HERE),
            **plain,
        ).filter(lambda config: not 0 < config.limiter.rate < 0.0001)
    )


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


@given(config=configs())
def test_any_valid_configuration_comes_back_from_its_text_and_a_secret_is_in_no_listing(
    config: Config,
) -> None:
    check(config)
    assert read(as_toml(config, masked=False)) == config
    canary = "cAnArY"
    secret = attrs.evolve(config.redis, password=Secret(canary))
    commands = {
        name: attrs.evolve(command, env={"K": canary}) for name, command in config.commands.items()
    }
    config = attrs.evolve(config, redis=secret, commands=commands)
    tomli.loads(as_toml(config))
    assert canary not in as_toml(config)
    assert canary not in repr(config)


# --- any single fault -----------------------------------------------------------------


def _wrong(kind: Kind | Section) -> list[Any]:
    """Values that can't be of a kind, as TOML gives them."""
    if isinstance(kind, Section):
        return [7, True, "text"] + ([{"x": 1}] if kind.shape == "list" else [[1]])
    match kind:
        case Flag():
            return ["maybe", 2, 0.5, [], {}]
        case Whole():
            return ["four", 1.5, True, kind.at_least - 1, 10**30, [1], {"a": 1}, float("nan")]
        case Number():
            too_low = -1 if kind.above is None else 0
            return ["four", True, too_low, float("inf"), float("nan"), 10**400, [], {}]
        case ListOf() | TableOf():
            return ["text", 7, True]
        case Text() if kind.pattern == "(?s:.+)":
            return [7, 1.5, False, [], {}, "a\0b"]
        case Text():
            return [7, 1.5, False, [], {}, "a\0b", " "]
    return [7, 1.5, False, [], {}, "a\0b"]


def _faults() -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []

    def look(section: type, path: Path) -> None:
        found.append(((*path, "zz_no_such_key"), 1))
        for entry in entries(section).values():
            here = (*path, entry.key)
            found.extend((here, value) for value in _wrong(entry.kind))
            if isinstance(entry.kind, Section):
                look(
                    entry.kind.of,
                    (*here, *{"list": (1,), "named": ("c",)}.get(entry.kind.shape, ())),
                )

    look(Config, ())
    return found


FAULTS = _faults()
BASE: dict[str, Any] = {
    "queues": [{"name": "a"}, {"name": "b"}],
    "producer": {},
    "commands": {"c": {"argv": ["true"]}},
    "limits": {"c": {"queue": "a", "rate": 1}},
    "schedules": {"c": {"job": "report", "cron": "0 3 * * *"}},
    "web": {"users": {"c": {"role": "read"}}, "tokens": {"c": {"sha256": "0" * 64}}},
}


def _toml(tree: dict[str, Any]) -> str:
    return "\n".join(f"{key} = {_inline(value)}" for key, value in tree.items())


def _inline(value: Any) -> str:
    # Python writes 10**400 only if asked digit by digit; TOML reads it as it stands.
    return "1" + "0" * 400 if value == 10**400 else toml_value(value)


def _put(tree: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    tree = _copy(tree)
    parent: Any = tree
    for step in path[:-1]:
        parent = parent[step] if isinstance(step, int) else parent.setdefault(step, {})
    parent[path[-1]] = value
    return tree


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(item) for item in tree] if isinstance(tree, list) else tree


def _lines(text: str, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    return caught.value.faults


@given(fault=st.sampled_from(FAULTS))
def test_any_single_fault_is_reported_with_its_path_and_alone(fault: tuple[Path, Any]) -> None:
    path, value = fault
    lines = _lines(_toml(_put(BASE, path, value)))
    assert [line.startswith(f"jobqueue.toml: {dotted(path)}") for line in lines] == [True]


@given(two=st.lists(st.sampled_from(FAULTS), min_size=2, max_size=4))
def test_several_faults_are_reported_together(two: list[tuple[Path, Any]]) -> None:
    placed: dict[Path, Any] = {}
    for path, value in two:
        apart = all(path[: len(p)] != p and p[: len(path)] != path for p in placed)
        if apart:
            placed[path] = value
    tree = BASE
    for path, value in placed.items():
        tree = _put(tree, path, value)
    lines = _lines(_toml(tree))
    for path in placed:
        assert any(line.startswith(f"jobqueue.toml: {dotted(path)}") for line in lines)
    assert len(lines) == len(placed)


@given(fault=st.sampled_from([fault for fault in FAULTS if "queues" not in fault[0][:-1]]))
def test_any_fault_from_the_environment_names_its_variable(fault: tuple[Path, Any]) -> None:
    path, value = fault
    variable = variable_of(path)
    text = value if isinstance(value, str) else _inline(value)
    # A variable is text, so what is wrong in TOML may be right here.
    _, lines = outcome(_toml(BASE), {variable: text})
    assert all(line.startswith(variable) for line in lines)
    # Of one word it may be somebody else's: a warning.
    assert lines or "zz_no_such_key" not in path or len(path) == 1


# --- anything at all ------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
WORDS = st.sampled_from(
    sorted({entry.key for section in (Config, RedisConfig, WorkerConfig, ProducerConfig,
            QueueConfig, CommandConfig, Backoff) for entry in entries(section).values()})
) | st.text(max_size=4)  # fmt: skip
TREES: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        SCALARS.filter(lambda value: value is not None)
        | st.lists(TREES, max_size=3)
        | st.dictionaries(WORDS, TREES, max_size=3)
    )
)


@given(tree=st.dictionaries(WORDS, TREES, max_size=5))
def test_whatever_a_file_holds_it_is_a_configuration_or_a_list_of_faults(
    tree: dict[str, Any],
) -> None:
    text = "\n".join(f"{toml_value(key)} = {toml_value(value)}" for key, value in tree.items())
    config, lines = outcome(text)
    assert (config is None) == bool(lines)
    assert all("\n" not in line for line in lines)


@given(
    environ=st.dictionaries(
        WORDS.map(lambda word: f"TRIOQ_{word.upper()}")
        | st.tuples(WORDS, WORDS).map(lambda two: f"TRIOQ_{two[0].upper()}__{two[1].upper()}"),
        st.text(max_size=8) | TREES.map(toml_value),
        max_size=4,
    )
)
def test_whatever_the_environment_holds_it_is_a_configuration_or_a_list_of_faults(
    environ: dict[str, str],
) -> None:
    config, lines = outcome("", environ)
    assert (config is None) == bool(lines)
    assert all("\n" not in line for line in lines)


@given(text=st.text())
def test_whatever_a_text_is_it_is_a_configuration_or_a_list_of_faults(text: str) -> None:
    config, lines = outcome(text)
    assert (config is None) == bool(lines)
