"""What all of :mod:`trioq.contrib` has in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import trioq.contrib
from tests.test_architecture import imported

#: Beside the public names: what a framework's settings become and how they are checked, and its
#: command that is ours; and what a test kit leads elsewhere.
MORE = {
    "django/clients.py": {"trioq.client.elsewhere"},
    "django/handlers.py": {"trioq.core.wall"},
    "starlette.py": {"trioq.client.elsewhere"},
    "django/checks.py": {"trioq.core.arguments"},
    "django/conf.py": {"trioq.client.opening", "trioq.settings"},
    "django/management/commands/trioq.py": {
        "trioq.cli.serve",
        "trioq.cli.some_queues",
        "trioq.cli.wanted",
    },
}

MODULES = sorted(Path(trioq.contrib.__path__[0]).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_uses_public_names_only(path: Path) -> None:
    ours = {name for name in imported(path) if name.split(".")[0] == "trioq"}
    more = MORE.get(str(path.relative_to(trioq.contrib.__path__[0])), set())
    allowed = {"trioq", "trioq.aio", *more}
    assert {name for name in ours if not name.startswith("trioq.contrib")} <= allowed


@pytest.mark.parametrize(
    ("module", "framework", "extra"),
    [
        ("django", "django", "django"),
        ("flask", "flask", "flask"),
        ("sentry", "sentry_sdk", "sentry"),
        ("starlette", "starlette", "fastapi"),
    ],
)
def test_a_framework_that_is_missing_is_told_with_what_to_install(
    module: str, framework: str, extra: str
) -> None:
    code = f"import sys; sys.modules[{framework!r}] = None; import trioq.contrib.{module}"
    told = subprocess.run(
        [sys.executable, "-c", code], check=False, text=True, stderr=subprocess.PIPE, timeout=60
    )
    last = told.stderr.splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: trioq.contrib.{module} needs")
    assert last.endswith(f"pip install 'trioq[{extra}]'")


def test_trioq_itself_imports_no_framework() -> None:
    code = (
        "import sys, trioq, trioq.aio\n"
        "for name in trioq.__all__: getattr(trioq, name)\n"
        "assert not {'flask', 'fastapi', 'django', 'sentry_sdk'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
