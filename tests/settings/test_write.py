"""Configurations written down: for people, for the page, and as a schema."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import attrs
import tomli

from tests.settings.reading import ROOT, SAMPLE, leaves, read
from trioq.core.config import Config, ProducerConfig
from trioq.core.config.keys import entries
from trioq.settings import as_toml, from_url, load, reference, schema, warnings

# -- writing -----------------------------------------------------------------------------------


def test_what_is_written_masks_every_secret_and_is_toml() -> None:
    text = 'redis.url = "redis://me:canary@h"\ncommands.x = {argv = ["a"], env = {K = "canary"}}'
    shown = as_toml(read(text))
    assert "canary" not in shown
    assert tomli.loads(shown)["redis"]["password"] == "********"
    assert tomli.loads(shown)["commands"]["x"]["env"] == {"K": "********"}


def test_what_is_written_unmasked_reads_back_equal() -> None:
    config = read('redis.password = "c\\u007f\\n\\"é"\n[producer]\n[commands."a.b"]\nargv = ["x"]')
    assert read(as_toml(config, masked=False)) == config
    assert read(as_toml(Config())) == read()


def test_what_came_from_the_environment_says_so() -> None:
    environ = {
        "TRIOQ_WORKER__COUNT": "3",
        "TRIOQ_QUEUES": '[{name="q"}]',
        "TRIOQ_REDIS__URL": "redis://:pw@h",
    }
    lines = as_toml(read("", environ)).splitlines()
    assert "count = 3  # from TRIOQ_WORKER__COUNT" in lines
    assert "[[queues]]  # from TRIOQ_QUEUES" in lines
    assert 'password = "********"  # from TRIOQ_REDIS__URL' in lines
    assert sum("# from" in line for line in lines) == 4


def test_unknown_queues_are_written_as_unknown() -> None:
    assert "# queues: not known" in as_toml(from_url("redis://h", environ={}))


# -- the sample, the page and the schema -------------------------------------------------------


def test_the_sample_is_the_defaults_and_scans_the_docs() -> None:
    config = load(SAMPLE, environ={})
    assert config.producer == ProducerConfig(scan_dir="docs")
    assert attrs.evolve(config, producer=None) == Config(directory=ROOT)
    assert warnings(config) == []


def test_the_sample_shows_every_key_and_says_why() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    keys = [line for line in text.splitlines() if " = " in line]
    assert [line for line in keys if line.rpartition("#")[2].strip() == ""] == []
    named = {line.removeprefix("# ").split(" = ")[0] for line in keys}
    assert named == {path[-1] for _, path in leaves(Config, ())}


def test_what_the_sample_has_commented_out_is_valid_too() -> None:
    lines = [
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in SAMPLE.read_text(encoding="utf-8").splitlines()
    ]
    text = "\n".join(lines).replace('"embedded:.trioq"', '"rediss://h"')
    config = read(text)
    assert config.commands["convert"].permanent_exit_codes == ()
    assert config.queues[0].max_length == 100_000
    assert config.limits["stripe"].rate == 100


def test_the_page_about_the_configuration_is_the_one_that_is_drawn() -> None:
    page = ROOT / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "run: python -m trioq.settings docs FILE"
    )


def test_the_page_has_every_key_and_the_file_that_it_is_written_to(tmp_path: pathlib.Path) -> None:
    page = reference()
    assert all(f"| `{key}` |" in page for key, _ in leaves(Config, ()))
    target = tmp_path / "page.md"
    command = [sys.executable, "-m", "trioq.settings"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "docs", str(target)], check=True, env=environ, cwd=tmp_path)
    assert target.read_text(encoding="utf-8") == page
    shown = subprocess.run(
        [*command, "schema"], check=True, env=environ, cwd=tmp_path, capture_output=True
    )
    assert json.loads(shown.stdout) == schema()


def test_the_schema_has_every_key_and_allows_no_other() -> None:
    described = schema()
    assert described["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert described["additionalProperties"] is False
    assert set(described["properties"]) == set(entries(Config))
    worker = described["properties"]["worker"]
    assert worker["properties"]["count"] == {
        "description": "Handlers that run at a time in one engine.",
        "default": 16,
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
    }
    assert worker["properties"]["timeout"]["default"] == "5m"
    assert described["properties"]["queues"]["items"]["required"] == ["name"]
    json.dumps(described)
