"""A desk on the shared server, and who asks at it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.cli.conftest import write_config
from tests.support import Server
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.web.desk import Desk
from trioq.web.operations import perform
from trioq.web.problems import Problem
from trioq.web.who.roles import Role, User


@pytest.fixture
def desk(server: Server, tmp_path: Path) -> Iterator[Desk]:
    """On an empty data set."""
    config = load(write_config(tmp_path, server))
    with open_store(config) as connector:
        yield Desk(config, connector)


@attrs.frozen
class Acts:
    """Somebody who does things."""

    desk: Desk
    user: User

    def __call__(self, operation: str, /, **fields: Any) -> dict[str, Any]:
        """What comes of it."""
        return trio.run(partial(perform, self.desk, self.user, operation, fields))

    def form(self, operation: str, /, **fields: Any) -> dict[str, Any]:
        """The same, by a form."""
        asked = partial(perform, self.desk, self.user, operation, fields, is_form=True)
        return trio.run(asked)

    def refused(self, operation: str, /, **fields: Any) -> Problem:
        """Why it isn't done."""
        with pytest.raises(Problem) as caught:
            self(operation, **fields)
        return caught.value


@pytest.fixture
def act(desk: Desk) -> Acts:
    """Somebody who may do everything."""
    return Acts(desk, User("ana", Role.admin))
