"""Which configuration is meant where nobody names one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import tomli

from trioq.cwd import working_directory

VARIABLE = "TRIOQ_CONFIG"
USUAL = "jobqueue.toml"
PROJECT = "pyproject.toml"
TABLE = "tool.trioq"

#: No configuration, though many take one for it.
URL = re.compile("embedded:|rediss?://|unix://")

LOOKED = f"{VARIABLE} isn't set, and here is neither {USUAL} nor a {PROJECT} that has [{TABLE}]"
"""Said where there is none."""


def find(environ: Mapping[str, str] = os.environ) -> str | None:
    """The configuration's file: what ``TRIOQ_CONFIG`` says, else ``jobqueue.toml`` of the working
    directory, else its ``pyproject.toml``, if that has ``[tool.trioq]``; None: there is none."""
    if named := environ.get(VARIABLE):
        return named
    here = working_directory()
    return None if here is None else find_in(here)


def find_in(directory: Path) -> str | None:
    """The name of the configuration's file in a directory; None: there is none."""
    if (directory / USUAL).is_file():
        return USUAL
    return PROJECT if _has_table(directory / PROJECT) else None


def _has_table(project: Path) -> bool:
    try:
        text = project.read_text(encoding="utf-8")
    except (OSError, ValueError):  # it is somebody else's, and may be anything
        return False
    try:
        tool = tomli.loads(text).get("tool")
    except ValueError:
        return f"[{TABLE}" in text  # who reads it tells where it is wrong
    return isinstance(tool, dict) and "trioq" in tool
