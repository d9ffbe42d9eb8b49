"""All handlers of a project: an engine's ``app`` is ``trioq.contrib.django.engine:app``.

To import it is to set Django up, where that hasn't been done, and to import the modules of the
installed apps that have handlers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import django
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules, import_string

from trioq import App
from trioq.contrib.django import conf, jobs, registry
from trioq.contrib.django.connections import database


def _all() -> App:
    if not apps.ready:
        django.setup()
    said = conf.made()
    autodiscover_modules(*said.modules)
    app = jobs.app
    for where in said.apps:
        own = import_string(where.replace(":", "."))
        if not isinstance(own, App):
            told = f"a {type(own).__name__}, and no trioq.App"
            raise ImproperlyConfigured(f"settings.TRIOQ: app: {where!r} is {told}")
        if own is not app:
            own.middleware(database)
            app.include(own)
    if aliases := [alias for alias, _ in conf.backends()]:
        from trioq.contrib.django import handlers

        app.on_failure(handlers.tell_failed)
        _remember_others(said.modules)
        for task in registry.tasks.values():
            handlers.add(app, task, aliases)
    return app


def _remember_others(modules: Sequence[str]) -> None:
    """Tasks of another backend can be enqueued in trioq's, ``task.using(backend=…)``."""
    from trioq.contrib.django.tasks_api import Task

    for config in apps.get_app_configs():
        for name in modules:
            for each in vars(sys.modules.get(f"{config.name}.{name}", object)).values():
                if isinstance(each, Task):
                    registry.remember(each)


app = _all()
