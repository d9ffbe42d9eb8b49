"""What payloads may have, as handlers' annotations tell."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import pytest

import trioq
from trioq.core.config import CommandConfig, Config, QueueConfig
from trioq.engine.handlers.fielded import fields_of, may_have
from trioq.errors import ConfigError
from trioq.registry import registry


@attrs.frozen
class Customer:
    id: int


@dataclasses.dataclass
class Order:
    customer: Customer
    note: str = ""


@attrs.frozen
class Part:
    of: Part | None = None


async def assemble(part: Part) -> None: ...


def app() -> trioq.App:
    made = trioq.App()

    @made.job("charge")
    async def charge(
        tenant: str, order: Order | None = None, more: dict[str, Any] | None = None
    ) -> None: ...

    @made.job("any")
    async def any_(**fields: Any) -> None: ...

    return made


@pytest.mark.parametrize(
    ("key", "has"),
    [
        ("tenant", True),
        ("tenannt", False),
        ("tenant.id", False),
        ("order.customer.id", True),
        ("order.customer.name", False),
        ("order.note.x", False),
        ("more.anything.at.all", True),
    ],
)
def test_what_a_payload_may_have_is_told_from_annotations(key: str, has: bool) -> None:
    assert may_have(app().handlers["charge"], key) is has


def test_the_fields_that_annotations_name_are_known_and_have_an_end() -> None:
    made = app()
    made.job("assemble")(assemble)
    assert list(fields_of(made.handlers["charge"])) == [
        "tenant", "order", "order.customer", "order.customer.id", "order.note", "more",
    ]  # fmt: skip
    assert list(fields_of(made.handlers["any"])) == []
    assert list(fields_of(made.handlers["assemble"])) == ["part", "part.of", "part.of.of"]


def test_what_takes_any_field_may_have_any() -> None:
    command = CommandConfig(name="run", argv=("true",))
    handlers = registry(app(), Config(commands={"run": command}))
    assert may_have(handlers["any"], "x.y")
    assert may_have(handlers["run"], "x.y")


def test_a_field_that_one_payload_may_have_makes_a_queue_fair() -> None:
    registry(app(), Config(queues=(QueueConfig("high", fair="order.customer.id"),)))


def test_a_field_that_no_payload_has_makes_no_queue_fair() -> None:
    with pytest.raises(ConfigError) as caught:
        registry(trioq.App(), Config(queues=(QueueConfig("high", fair="tenant"),)))
    assert caught.value.faults == (
        'queues[0].fair: no handler\'s payload has a field \'tenant\'; there are "path", "size",'
        ' "mtime"',
    )
