"""The app of a project's own handlers, beside its tasks."""

from __future__ import annotations

from trioq import App
from trioq.contrib.django.connections import database

app = App(runtime="asyncio")
"""``@app.job`` in any module that engines import: Django's async parts need asyncio."""

app.middleware(database)
