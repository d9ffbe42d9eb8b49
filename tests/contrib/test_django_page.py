"""The project of docs/django.md does what stands below it, run by ``manage.py trioq``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contrib.support import TASKS_OF
from tests.pages.blocks import blocks_of, output_of
from tests.support import Server


def as_of_this_django(program: str) -> str:
    """What the page says of Django 6.0, where that is here."""
    if TASKS_OF == "django_tasks":
        return program
    return program.replace('"django_tasks", ', "").replace("django_tasks", TASKS_OF)


def test_the_project_of_the_page_prints_what_it_says(server: Server, tmp_path: Path) -> None:
    if not TASKS_OF:
        pytest.skip("Django isn't installed, or it has no Tasks and django-tasks isn't, either")
    blocks = blocks_of("docs/django.md")
    for block in blocks:
        if block.language == "python":
            assert block.file is not None
            file = tmp_path / block.file
            file.parent.mkdir(exist_ok=True)
            file.write_text(as_of_this_django(block.text))
    environ = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(tmp_path),
        "TRIOQ_REDIS__URL": server.url, "TRIOQ_OBSERVABILITY__BIND": "",
    }  # fmt: skip
    django = [sys.executable, "-m", "django"]
    migrate = [*django, "migrate", "--run-syncdb", "-v0"]
    subprocess.run(migrate, cwd=tmp_path, env=environ, check=True, timeout=60)
    engine = subprocess.Popen(
        [*django, "trioq", "--processes", "2"],
        cwd=tmp_path, env=environ, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with engine:
        try:
            asked = subprocess.run(
                [sys.executable, "ask.py"], cwd=tmp_path, env=environ, check=True, text=True,
                timeout=60, stdout=subprocess.PIPE,
            )  # fmt: skip
        finally:
            engine.terminate()
    assert engine.returncode == 0
    assert [asked.stdout] == [told.text for told in output_of(blocks).values()]
