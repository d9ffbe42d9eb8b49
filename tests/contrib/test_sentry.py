"""Sentry, the real SDK: what it sends off comes to a transport of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

import trioq
from tests.contrib import sentry_shop as shop
from tests.engine.rig import Rig, config_of
from trioq.contrib.sentry import sentry_trace, watch
from trioq.core.events import (
    JobCancelled,
    JobDied,
    JobReleased,
    JobStarted,
    JobSucceeded,
)

pytestmark = pytest.mark.trio


class Sent(Transport):
    """What has been sent."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.items: list[tuple[str, dict[str, Any]]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items += [(item.type, item.payload.json) for item in envelope.items]  # type: ignore[misc]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [payload for type, payload in self.items if type == kind]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.of("event")


@pytest.fixture
def sent() -> Iterator[Sent]:
    """Sentry is set up, and does nothing to this process but what a test asks for."""
    transport = Sent()
    sentry_sdk.init(
        "http://key@localhost/1", transport=transport, traces_sample_rate=1.0,
        default_integrations=False, auto_enabling_integrations=False,
    )  # fmt: skip
    sentry_sdk.add_breadcrumb(message="the program has begun")
    watch(trioq.App())  # enqueues belong to Sentry's trace, whatever tests before have said
    yield transport
    trioq.trace_from(None)
    sentry_sdk.get_global_scope().set_client(None)
    sentry_sdk.get_isolation_scope().clear()


@pytest.fixture
def rig(rig: Rig) -> Rig:
    rig.app, rig.config = shop.app, config_of()
    return rig


def crumbs(event: dict[str, Any]) -> list[str]:
    return [each["message"] for each in event.get("breadcrumbs", {}).get("values", ())]


@pytest.mark.parametrize("name", ["in_thread", "in_trio", "in_asyncio"])
async def test_a_job_that_dies_is_one_event_with_its_own_breadcrumbs(
    rig: Rig, sent: Sent, name: str
) -> None:
    async with rig.running():
        for text in ("bread", "milk"):
            rig.enqueue(name, payload={"text": text})
        await rig.reported(JobDied, 2)
    bread, milk = sorted(sent.events, key=lambda event: event["exception"]["values"][0]["value"])
    for event, text in ((bread, "bread"), (milk, "milk")):
        (error,) = event["exception"]["values"]
        assert (error["type"], error["value"]) == ("ValueError", f"no {text}")
        assert error["mechanism"] == {"type": "trioq", "handled": False}
        assert error["stacktrace"]["frames"][-1]["function"] == "fall"
        assert crumbs(event) == [f"{text} of attempt 3"]
        assert (event["transaction"], event["level"]) == (name, "error")
        assert event["tags"] == {"trioq.job": name, "trioq.queue": "low"}
        told = event["contexts"]["trioq"]
        assert (told["name"], told["attempt"], told["max_attempts"]) == (name, 3, 3)


async def test_one_in_a_runner_is_told_by_its_text(rig: Rig, sent: Sent) -> None:
    rig.config = config_of(runners=1, timeout_s=30.0)
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        with sentry_sdk.start_transaction(name="GET /") as request:
            handle = await client.enqueue("apart", {"text": "bread"}, queue="low")
        await rig.reported(JobDied)
    (event,) = sent.events
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "no bread")
    assert error["stacktrace"]["frames"][-1]["function"] == "fall"
    assert error["stacktrace"]["frames"][-1]["context_line"] == 'raise ValueError(f"no {text}")'
    assert event["contexts"]["trioq"]["uid"] == handle.uid
    assert event["contexts"]["trace"]["trace_id"] == request.trace_id
    sentry_sdk.capture_message("from the program")
    assert "trioq" not in sent.events[-1]["contexts"], "it is no job's"


async def test_one_that_takes_too_long_is_an_event_of_its_handlers(rig: Rig, sent: Sent) -> None:
    async with rig.running():
        rig.enqueue("slow")
        await rig.reported(JobDied)
    (event,) = sent.events
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("timeout", "took longer than 0.05 s")
    assert event["fingerprint"] == ["{{ default }}", "slow"]
    assert crumbs(event) == ["it is slow"]


async def test_one_that_gives_up_is_an_event(rig: Rig, sent: Sent) -> None:
    async with rig.running():
        rig.enqueue("gives_up")
        await rig.reported(JobDied)
    assert [event["exception"]["values"][0]["type"] for event in sent.events] == ["GiveUp"]


async def test_a_failure_after_which_it_is_too_late_for_another_attempt_is_an_event(
    rig: Rig, sent: Sent
) -> None:
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        await client.enqueue("too_late", queue="low", deadline=30)
        await rig.reported(JobCancelled)
    assert [event["level"] for event in sent.events] == ["error"]


async def test_whoever_ends_well_or_is_cancelled_or_asks_to_run_again_is_none(
    rig: Rig, sent: Sent
) -> None:
    rig.config = config_of(grace_s=0.01)
    async with rig.running():
        (unwanted,) = rig.enqueue("stays")
        await rig.reported(JobStarted, name="stays")
        rig.cancel(unwanted, name="stays")
        await rig.reported(JobCancelled)
        for name in ("well", "wishes", "asks"):
            rig.enqueue(name)
        await rig.reported(JobSucceeded, 3)
        rig.enqueue("stays")
        await rig.reported(JobStarted, 2, name="stays")
    assert rig.of(JobReleased)
    assert sent.events == []


async def test_one_that_asks_to_run_again_until_it_dies_is_an_event(rig: Rig, sent: Sent) -> None:
    async with rig.running():
        rig.enqueue("asks", payload={"always": True})
        await rig.reported(JobDied)
    (event,) = sent.events
    assert event["exception"]["values"][0]["type"] == "RetryLater"
    assert crumbs(event) == ["it asks"]


async def test_each_failure_is_told_where_that_is_asked_for(rig: Rig, sent: Sent) -> None:
    rig.app = trioq.App()
    watch(rig.app, each_failure=True)
    rig.app.job("in_thread", retry=shop.THRICE)(shop.in_thread)
    async with rig.running():
        rig.enqueue("in_thread", payload={"text": "bread"})
        await rig.reported(JobDied)
    assert [event["level"] for event in sent.events] == ["warning", "warning", "error"]


# -- traces --------------------------------------------------------------------------------------


async def test_an_attempt_is_a_transaction_of_the_trace_that_enqueued_it(
    rig: Rig, sent: Sent
) -> None:
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        with sentry_sdk.start_transaction(name="GET /") as request:
            well = await client.enqueue("well", queue="low")
            await client.enqueue("in_trio", {"text": "bread"}, queue="low")
        await rig.reported(JobDied)
    by_status = {
        (each["transaction"], each["contexts"]["trace"].get("status")): each
        for each in sent.of("transaction")
    }
    assert set(by_status) == {("GET /", None), ("well", "ok"), ("in_trio", "internal_error")}
    trace = by_status["well", "ok"]["contexts"]["trace"]
    assert (trace["trace_id"], trace["parent_span_id"]) == (request.trace_id, request.span_id)
    assert (trace["op"], trace["origin"]) == ("queue.process", "auto.queue.trioq")
    assert trace["data"]["messaging.message.id"] == well.uid
    assert trace["data"]["messaging.message.retry.count"] == 0
    (event,) = sent.events
    assert event["contexts"]["trace"]["trace_id"] == request.trace_id


async def test_attempts_without_a_trace_are_none_of_each_others(rig: Rig, sent: Sent) -> None:
    async with rig.running():
        rig.enqueue("well", 2)
        await rig.reported(JobSucceeded, 2)
    traces = {each["contexts"]["trace"]["trace_id"] for each in sent.of("transaction")}
    assert len(traces) == 2


async def test_a_wish_is_no_error_of_its_transaction(rig: Rig, sent: Sent) -> None:
    async with rig.running():
        rig.enqueue("wishes")
        await rig.reported(JobSucceeded)
    found = [each["contexts"]["trace"]["status"] for each in sent.of("transaction")]
    assert found == ["aborted", "ok"]


@pytest.mark.parametrize(
    ("baggage", "flag"),
    [
        ("", ""),
        ("customer=7,sentry-sampled=true,sentry-sample_rate=1", "-1"),
        ("sentry-sampled=false", "-0"),
    ],
)
async def test_whether_a_trace_is_kept_is_sentrys_own_word(baggage: str, flag: str) -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    for kept in ("00", "01"):
        told = sentry_trace({"traceparent": f"00-{trace_id}-{span_id}-{kept}", "baggage": baggage})
        assert told == {"sentry-trace": f"{trace_id}-{span_id}{flag}", "baggage": baggage}
    assert sentry_trace({"traceparent": "00-nothing", "baggage": baggage}) == {}


async def test_without_sentry_nothing_happens(rig: Rig) -> None:
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        handle = await client.enqueue("in_trio", {"text": "bread"}, queue="low")
        await rig.reported(JobDied)
    assert not sentry_sdk.get_client().is_active()
    assert "traceparent" not in rig.history(handle.uid)[0]


async def test_who_gives_it_no_app_is_told() -> None:
    with pytest.raises(TypeError, match=r"watch\(app\) takes the trioq\.App .* got 'jobs:app'"):
        watch(cast(Any, "jobs:app"))
