"""What the settings say becomes a configuration, and what is wrong in them is told."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest


def told(**settings: Any) -> list[str]:
    """What ``manage.py check`` says."""
    from django.core import checks
    from django.test import override_settings

    with override_settings(**settings):
        return [f"{each.msg} {each.hint or ''}" for each in checks.run_checks()]


TASKS = "tests.contrib.django_shop.tasks"


def scheduled(task: str) -> dict[str, Any]:
    """``settings.TRIOQ`` with a schedule of this task, which is given no arguments."""
    return {"SCHEDULES": {"n": {"task": task, "cron": "0 3 * * *"}}}


def test_queues_are_those_of_the_tasks_and_schedules_go_by_the_projects_clock(
    said: dict[str, Any],
) -> None:
    from django.test import override_settings

    from trioq.contrib.django import conf

    nightly = {"task": "a.b", "args": (1,), "cron": "0 3 * * *"}
    with override_settings(TRIOQ=said | {"SCHEDULES": {"nightly": nightly}}):
        config = conf.made().config
    assert config.queue_names == (
        "default.high", "mail.high", "default", "mail", "default.low", "mail.low",
    )  # fmt: skip
    assert config.default_queue == "default"
    made = config.schedules["nightly"]
    assert (made.tz, made.payload) == ("Europe/Berlin", {"args": [1], "kwargs": {}})


def test_a_class_that_a_project_made_of_the_backend_is_one(project: None) -> None:
    from django.test import override_settings

    from trioq.contrib.django import conf

    backend = "tests.contrib.django_shop.backend.Backend"
    with override_settings(TASKS={"default": {"BACKEND": backend, "QUEUES": ["own"]}}):
        assert conf.made().config.queue_names == ("own.high", "own", "own.low")


def test_a_file_is_read_and_the_settings_win(said: dict[str, Any], tmp_path: Path) -> None:
    from django.test import override_settings

    from trioq.contrib.django import conf

    file = tmp_path / "jobqueue.toml"
    file.write_text('namespace = "file"\n[worker]\ncount = 3\n[[queues]]\nname = "only"\n')
    with override_settings(TRIOQ={"CONFIG": file, "namespace": "mine"}):
        config = conf.made().config
    assert (config.namespace, config.worker.count, config.queue_names) == ("mine", 3, ("only",))
    assert (config.path, config.directory) == (file, tmp_path)


@pytest.mark.parametrize(
    ("trioq_says", "says"),
    [
        (
            {"redis": {"ulr": "redis://x"}},
            'settings.TRIOQ: redis.ulr: unknown key; did you mean "url"?',
        ),
        ({"CONFG": "x"}, "unknown key 'CONFG'; did you mean 'CONFIG'?"),
        ({"CONFIG": "/nowhere.toml"}, "/nowhere.toml: no such file"),
        ("redis://x", "expected a dict, not a str"),
        ({"SCHEDULES": {"n": {"cron": "0 3 * * *"}}}, "'n': says no task"),
        ({"SCHEDULES": {"n": {"task": "a.b", "job": "c"}}}, "expected 'task' with 'args'"),
        (scheduled("a.b"), "'n': there is no task 'a.b': No module named 'a'"),
        (scheduled(f"{TASKS}.task"), ".task' is no task: @task makes one"),
        (scheduled(f"{TASKS}.repeat"), "tasks.repeat: missing a required argument: 'text'"),
        ({"MODULES": "tasks"}, """MODULES: expected a list such as ["tasks"], not 'tasks'"""),
        ({"PATIENCE": "2s"}, "PATIENCE: patience is '2s': expected seconds"),
        ({"queues": [{"name": "default"}]}, "and trioq's configuration lists default only"),
    ],
)
def test_what_is_wrong_with_trioq_is_told(project: None, trioq_says: Any, says: str) -> None:
    assert any(says in line for line in told(TRIOQ=trioq_says))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"QUEUES": []}, "QUEUES is empty"),
        ({"priorities": {}}, "nobody reads 'priorities' priorities belongs into OPTIONS."),
        ({"QUEUE": ["a"]}, "nobody reads 'QUEUE' There are BACKEND, QUEUES, OPTIONS."),
        ({"OPTIONS": {"result": "bla"}}, "OPTIONS: result is 'bla': expected a time"),
        ({"OPTIONS": {"timeout": 3}}, "@options(timeout=…) below @task"),
        ({"OPTIONS": {"database": "dflt"}}, "no 'dflt' in DATABASES There are default."),
        ({"OPTIONS": {"priority": {}}}, "There are priorities,"),
        ({"OPTIONS": {"priorities": {1: "a b", -100: "x"}}}, "1: expected the name of a queue"),
        ({"OPTIONS": {"priorities": {101: "a", -100: "x"}}}, "from -100 to 100"),
        ({"OPTIONS": {"priorities": {0: "a"}}}, "add -100"),
    ],
)
def test_what_is_wrong_with_the_backend_is_told(project: None, more: Any, says: str) -> None:
    backend = {"BACKEND": "trioq.contrib.django.TasksBackend", **more}
    assert any(says in line for line in told(TASKS={"default": backend}))


def test_nothing_is_told_of_what_is_right(project: None) -> None:
    assert told(TRIOQ={}) == []
    assert told(TRIOQ=scheduled(f"{TASKS}.unfit")) == []


def test_a_backend_whose_app_is_not_installed_is_told_of(project: None) -> None:
    from django.test import modify_settings

    with modify_settings(INSTALLED_APPS={"remove": "trioq.contrib.django"}):
        assert any("isn't in INSTALLED_APPS: manage.py has no trioq" in line for line in told())


def test_without_priorities_none_can_be_said(project: None) -> None:
    from trioq.contrib.django import TasksBackend
    from trioq.contrib.django.queues import Priorities

    assert TasksBackend("a", {}).supports_priority
    assert not TasksBackend("a", {"OPTIONS": {"priorities": {}}}).supports_priority
    assert Priorities.of({50: "hot", -100: "{queue}"}).queues(["a", "b"]) == ["hot", "a", "b"]


def test_options_that_no_task_has_are_refused() -> None:
    pytest.importorskip("django")
    from trioq.contrib.django import options

    with pytest.raises(TypeError, match="there is no 'timeot'"):
        options(timeot=3)


def test_patience_bounds_how_long_a_result_is_asked_for(project: None) -> None:
    from django.test import override_settings

    import trioq
    from tests.contrib.django_shop import tasks

    with socket.create_server(("127.0.0.1", 0)) as mute:
        redis = {
            "url": f"redis://127.0.0.1:{mute.getsockname()[1]}",
            "connect_timeout": 60, "read_timeout": 60,
        }  # fmt: skip
        says = {"redis": redis, "PATIENCE": 0.1}
        with override_settings(TRIOQ=says), pytest.raises(trioq.StoreUnreachable):
            tasks.repeat.get_result("a")
