"""Configurations as a test writes them, and the faults that they have."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import pytest

from trioq.core.config import Config
from trioq.core.config.keys import Section, entries
from trioq.errors import ConfigError
from trioq.settings import parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


SAMPLE = ROOT / "jobqueue.toml"


def read(text: str = "", environ: Mapping[str, str] | None = None) -> Config:
    return parse(text, name="jobqueue.toml", directory="/srv", environ=environ or {})


def fault_lines(text: str = "", environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    return caught.value.faults


def only_line(text: str = "", environ: Mapping[str, str] | None = None) -> str:
    (line,) = fault_lines(text, environ)
    return line


def leaves(section: type, path: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for entry in entries(section).values():
        here = (*path, entry.key)
        if isinstance(entry.kind, Section):
            named = ("<NAME>",) if entry.kind.shape == "named" else ()
            found += leaves(entry.kind.of, (*here, *named))
        else:
            found.append((entry.key, here))
    return found
