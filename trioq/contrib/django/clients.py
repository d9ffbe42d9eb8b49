"""The clients of this process, by the settings; nothing is connected before it is needed."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from typing import Any

import attrs
from django.core.signals import setting_changed

from trioq import Admin, StoreClosed, StoreUnreachable, SyncClient, connect_admin, connect_sync
from trioq.client.elsewhere import Elsewhere, led
from trioq.contrib.django.conf import made


@attrs.define
class _Open:
    """What is open."""

    stack: ExitStack = attrs.field(factory=ExitStack)
    client: SyncClient | None = None
    admin: Admin | None = None
    leads: Elsewhere | None = None
    """Where the admin does, if not where the settings say."""
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    asking: threading.Lock = attrs.field(factory=threading.Lock)
    """An admin answers one thread at a time."""

    def renew(self) -> None:
        """In a forked child, whoever held them isn't there."""
        self.lock, self.asking = threading.Lock(), threading.Lock()


_open = _Open()


def _renew() -> None:
    _open.renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew)


def client() -> SyncClient:
    """The client that the settings lead to: one for all threads of this process.

    Raises:
      ImproperlyConfigured: ``settings.TRIOQ`` is wrong.
    """
    said, there = made(), _open
    with there.lock:
        if there.client is None:
            there.client = connect_sync(said.config, patience=said.patience)
            there.stack.callback(there.client.close)
        return there.client


def look(id: str) -> Any:
    """All that is known of a job; None: nothing is.

    Raises:
      StoreUnreachable, StoreBusy, StoreRefused: Nobody can be asked.
    """
    said, there = made(), _open
    with there.asking:
        if there.admin is None or there.leads is not led():
            there.leads = led()
            there.admin = there.stack.enter_context(
                connect_admin(said.config, patience=said.patience)
            )
        try:
            return there.admin.job(id)
        except StoreClosed:
            raise
        except StoreUnreachable:  # its connection may have been closed long ago
            return there.admin.job(id)


def _close(*, setting: str, **_: Any) -> None:
    """Tests change settings: who asks for a client then gets another."""
    global _open
    if setting in ("TRIOQ", "TASKS"):
        before, _open = _open, _Open()
        before.stack.close()


setting_changed.connect(_close)
