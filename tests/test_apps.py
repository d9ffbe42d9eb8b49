"""Several apps in one configuration: one engine has the handlers of all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli

import trioq
from tests.cli.conftest import run
from trioq.apps import load_app
from trioq.core.config import Config
from trioq.settings import load

SHOP = """
import trioq
app = trioq.App()

@app.schedule(every="1h")
@app.job
def send(): ...

@app.job
def charge(): ...
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules of this test's own: names of modules are those of the process."""
    for name in ("one", "other"):
        (tmp_path / f"{tmp_path.name}_{name}.py").write_text(SHOP.replace("send", f"send_{name}"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "jobqueue.toml"


def named(config: Path, *names: str) -> list[str]:
    return [f"{config.parent.name}_{name}:app" for name in names]


def test_an_engine_has_the_handlers_and_schedules_of_all(config: Path) -> None:
    (config.parent / f"{config.parent.name}_other.py").write_text(SHOP.replace("charge", "x"))
    app = load_app(named(config, "one", "other"), config.parent)

    assert list(app.handlers) == ["send_one", "charge", "send", "x"]
    assert list(app.schedules) == ["send_one", "send"]
    assert load_app(named(config, "one"), config.parent) in app.apps()


def test_what_is_wrong_with_several_is_told_at_once_and_with_which_app(config: Path) -> None:
    one, other, nowhere = named(config, "one", "other", "nowhere")
    config.write_text(f"app = {json.dumps([one, nowhere, other])}\n")
    told = run("config", "check", config)
    assert told.exit_code == 2
    lines = [line for line in told.stderr.splitlines() if line.startswith("trioq: ")]
    assert [line.split(": ", 2)[2].split(" (")[0] for line in lines] == [
        f"app[1]: can't import {nowhere.removesuffix(':app')!r}",
        f"app: {one} and {other}: two handlers are called 'charge': "
        f"{one.removesuffix(':app')}.charge and {other.removesuffix(':app')}.charge",
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[]", "expected a list of at least 1, each an object such as"),
        ('["a:app", "b"]', "app[1]: expected an object such as"),
        ('["a:app", "a:app"]', "app: one of them is there twice"),
        ("7", 'app: expected an object such as "myproject.jobs:app", or a list of such, got 7'),
        ('"a:app,b:app"', "or a list of such, got 'a:app,b:app'"),
    ],
)
def test_a_list_that_is_none_is_told(config: Path, said: str, told: str) -> None:
    config.write_text(f"app = {said}\n")
    with pytest.raises(trioq.ConfigError) as caught:
        load(config)
    assert told in str(caught.value)


def test_a_variable_names_one_or_several(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("")
    for text, meant in (("a:app", "a:app"), ('["a:app", "b:app"]', ["a:app", "b:app"])):
        monkeypatch.setenv("TRIOQ_APP", text)
        shown = tomli.loads(run("config", "show", config).stdout)
        assert shown["app"] == meant


def test_one_engine_tells_of_them_by_their_names() -> None:
    assert Config(app=("a:app", "b:app")).app_name == "a:app,b:app"
    assert (Config(app="a:app").app_name, Config().app_name) == ("a:app", "")
