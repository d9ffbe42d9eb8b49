"""An operator who asks an API: what an :class:`~trioq.client.admin.Admin` beside Redis can."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trioq.client.admin import PAGE, Admin
from trioq.client.cancel import WAIT_S, CancelOutcome
from trioq.client.cancelling import Cancelled, Cancelling
from trioq.client.made import no_job
from trioq.client.pausing import paused
from trioq.client.remote import reading
from trioq.client.remote.http import ApiError, Http, NeedsRedis, at
from trioq.client.results import Result
from trioq.client.status import LOOK_S, Status, status
from trioq.client.sync_sender import SyncSender
from trioq.core import arguments
from trioq.core.arguments import Seconds
from trioq.core.calls import CANCEL_MAX
from trioq.core.formats.payload import encode as encode_payload
from trioq.core.job import Record, Uid
from trioq.core.limits import LimitSettings
from trioq.store.inspect import (
    BreakerView,
    Dead,
    DeadFilter,
    DeadPage,
    Door,
    Explanation,
    Groups,
    JobFilter,
    JobView,
    LimitView,
    Listing,
    Living,
    LivingPage,
    Pauses,
    Reason,
    Room,
    ScheduleView,
    Standing,
    Stats,
    settings_json,
)
from trioq.store.inspect.listing import LIVING
from trioq.store.inspect.shelves import State
from trioq.store.redis import RedisStore

#: So many dead jobs are asked for at once: each comes with all its attempts.
DEAD_PAGE = 100

#: More the API doesn't list in one answer.
MOST = 1000

#: How often one looks whether a job has ended that was asked to.
POLL_S = 0.25


class Remote(Admin):
    """Asks an API. What isn't told there, or done, :class:`NeedsRedis`.

    Args:
      http: Where.
      queues: The configured ones.
    """

    def __init__(self, http: Http, queues: Sequence[str] = ()) -> None:
        self.http = http
        self.queues = tuple(queues)
        self._last: tuple[Stats, dict[str, Any]] | None = None
        self._told: dict[Uid, dict[str, Any]] = {}
        self._running: set[Uid] = set()

    @property
    def store(self) -> RedisStore:  # type: ignore[override]
        """There is none."""
        raise NeedsRedis

    @property
    def _sender(self) -> SyncSender:  # type: ignore[override]
        raise NeedsRedis

    @property
    def _cancelling(self) -> Cancelling:  # type: ignore[override]
        raise NeedsRedis

    # -- questions ---------------------------------------------------------------------------

    def stats(self) -> Stats:
        told = self.http.get("/stats")
        made = reading.stats(told)
        self._last = made, told
        return made

    def _counted(self, counted: Stats | None) -> dict[str, Any]:
        """What was told when this was counted."""
        if counted is None or self._last is None or self._last[0] is not counted:
            self.stats()
        assert self._last is not None
        return self._last[1]

    def standing(self) -> Standing:
        return reading.standing(self.schedules(), self.now_ms())

    def schedules(self) -> list[ScheduleView]:
        """All that there are, by name."""
        return [reading.schedule_view(each) for each in self.http.get("/schedules")]

    def doors(self, counted: Stats | None = None) -> list[Door]:
        return [reading.made(Door, each) for each in self._counted(counted)["doors"]]

    def breakers(self, counted: Stats | None = None) -> list[BreakerView]:
        return [reading.breaker(each) for each in self._counted(counted)["breakers"]]

    def follow(self, uid: Uid, id: str | None = None) -> Iterator[Status]:
        last: Status | None = None
        while last is None or not last.has_ended:
            if (now := status(uid, self.job(uid))) != last:
                last = now
                yield now
            if not last.has_ended:
                time.sleep(LOOK_S)

    def job(self, id_or_uid: str) -> JobView | None:
        told = self._get_or_none(at("jobs", id_or_uid))
        if told is None:
            return None
        view = reading.job(told)
        self._told[view.uid] = told
        return view

    def door(self, view: JobView) -> Door | None:
        return reading.door(self._told.get(view.uid, {}).get("door"))

    def waits_for(self, view: JobView) -> str | None:
        return self._told.get(view.uid, {}).get("take")

    def explain(self, id_or_uid: str) -> Explanation:
        if (told := self._get_or_none(at("jobs", id_or_uid, "explain"))) is not None:
            return reading.explanation(told)
        says = "there never was such a job, or it has ended and nothing is remembered of it"
        return Explanation("", id_or_uid, "", "", "unknown", (Reason("unknown", says),))

    def explain_queue(self, queue: str) -> tuple[tuple[Reason, ...], Stats, tuple[Door, ...]]:
        told = self.http.get(at("queues", queue))
        there = {queue: reading.queue(told)} if "served" in told else {}
        counted = Stats(self.http.url, there, {}, 0, 0, ())
        doors = tuple(reading.made(Door, each) for each in told["doors"])
        return tuple(map(reading.reason, told["reasons"])), counted, doors

    def limits(self) -> list[LimitView]:
        return [reading.limit(each) for each in self.http.get("/limits")]

    def rooms(self, queue: str) -> tuple[Room, ...]:
        return tuple(map(reading.room, self.http.get(at("queues", queue))["rooms"]))

    def now_ms(self) -> int:
        now: int = self.http.get("/")["now_ms"]
        return now

    def queue_names(self) -> tuple[str, ...]:
        return (*self.queues, *sorted(self.http.get("/queues").keys() - {*self.queues}))

    def waiting(self, queue: str) -> int:
        there = self.stats().queues.get(queue)
        return 0 if there is None else there.waiting

    def peek(self, queue: str, count: int) -> list[JobView]:
        return [
            reading.job(each)
            for each in self.http.get(at("queues", queue, "next"), limit=min(count, MOST))
        ]

    def jobs(
        self,
        states: Sequence[State] = LIVING,
        wanted: JobFilter | None = None,
        *,
        count: int = 50,
        newest_first: bool = False,
    ) -> Listing:
        meant = wanted or JobFilter()
        told = self.http.get(
            "/jobs", state=[*states], queue=meant.queue, name=meant.name, limit=min(count, MOST),
            newest=newest_first,
        )  # fmt: skip
        return Listing(
            [reading.listed(each) for each in told["jobs"]], told["more"], told["passed_over"]
        )

    def held(self, engine: str) -> list[JobView]:
        told = self._get_or_none(at("engines", engine)) or {}
        return [reading.job({"state": "running", **each}) for each in told.get("jobs", ())]

    def dead_pages(
        self, wanted: DeadFilter, *, after: str = "", size: int = DEAD_PAGE
    ) -> Iterator[DeadPage]:
        for jobs, looked_at, following in self._dead(wanted, after, size):
            yield DeadPage([_dead(view) for view in jobs], looked_at, following)

    def dead_views(self, jobs: Sequence[Dead]) -> Iterator[JobView]:
        for job in jobs:
            if (told := self._told.get(job.uid)) is not None:
                yield reading.job(told)

    def groups(self) -> Groups:
        return reading.groups(self.http.get("/dead/groups"))

    def living(self, wanted: JobFilter, *, after: str = "") -> Iterator[LivingPage]:
        for told in self._cancel(wanted, "", dry_run=True):
            jobs, others = list[Living](), dict[str, JobView | None]()
            for each in told["jobs"]:
                uid, result = each["uid"], each["result"]
                if result in ("would cancel", "would stop", "unreadable"):
                    record = None if result == "unreadable" else Record(uid, "", "", b"{}")
                    jobs.append(Living(each["id"], uid, record))
                    self._running |= {uid} if result == "would stop" else set()
                else:
                    others[each["id"]] = self.job(uid) if uid else None
            yield LivingPage(jobs, len(jobs), others)

    def running(self, uids: Sequence[Uid]) -> set[Uid]:
        return self._running.intersection(uids)

    def uids_of(self, ids: Sequence[str]) -> dict[str, Uid]:
        views = {id: self.job(id) for id in ids}
        return {
            id: view.uid
            for id, view in views.items()
            if view is not None and view.state not in ("done", "cancelled")
        }

    def result(self, id: str, wait_s: float) -> dict[str, Any]:
        """How a job has ended, in the shape of ``trioq result --json``; of one that nobody knows,
        too.

        Args:
          id: The job's, or its uid.
          wait_s: Seconds to wait for its end.
        """
        ends = time.monotonic() + wait_s
        while True:
            left_s = max(0.0, min(10.0, ends - time.monotonic()))
            told = self._get_or_none(at("jobs", id, "result"), wait_s=left_s)
            if told is None:
                return {"id": id, "uid": None} | Result("unknown", error=no_job(id)).as_json()
            if told["state"] != "live" or time.monotonic() >= ends:
                return dict(told)

    def keys(self) -> dict[str, Any]:
        """How large each key is, in the shape of ``trioq stats --keys --json``."""
        return dict(self.http.get("/keys"))

    def doctor(self) -> dict[str, Any]:
        """What the doctor says, in the shape of ``trioq doctor --json``."""
        return dict(self.http.get("/doctor"))

    # -- changes -----------------------------------------------------------------------------

    def pauses(self) -> Pauses:
        return reading.pauses(self.http.get("/pauses"))

    def pause(
        self,
        queue: str | None = None,
        *,
        job: str | None = None,
        limit: str | None = None,
        key: Any = None,
        lasts: Seconds | None = None,
        note: str = "",
        by: str | None = None,
    ) -> bool:
        """As beside Redis; who says so is the API's user, whatever ``by`` is."""
        paused(queue, job, limit, key)
        lasts_s = None if lasts is None else arguments.patience(lasts, "lasts")
        return self._paused("pause", queue, job, limit, key, lasts_s=lasts_s, note=note)

    def resume(
        self,
        queue: str | None = None,
        *,
        job: str | None = None,
        limit: str | None = None,
        key: Any = None,
    ) -> bool:
        paused(queue, job, limit, key)
        return self._paused("resume", queue, job, limit, key)

    def _paused(
        self, do: str, queue: str | None, job: str | None, limit: str | None, key: Any, **more: Any
    ) -> bool:
        room = "queues" if queue is not None else "names" if job is not None else "limits"
        told = self.http.do(f"{room}.{do}", queue=queue, job=job, limit=limit, key=key, **more)
        return bool(told["changed"])

    def hasten(self, id_or_uid: str) -> str:
        return str(self.http.do("jobs.hasten", job=id_or_uid, tells=True)["result"])

    def edit(
        self, id_or_uid: str, payload: Mapping[str, Any], *, max_payload_bytes: int = 2**20
    ) -> str:
        content = encode_payload(dict(payload), max_payload_bytes)
        told = self.http.do("dead.edit", job=id_or_uid, payload=json.loads(content), tells=True)
        return str(told["result"])

    def drain_engine(
        self, id_or_name: str, reason: str = "", *, by: str | None = None
    ) -> str | None:
        try:
            return str(self.http.do("engines.drain", engine=id_or_name, reason=reason)["engine"])
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def reset_breaker(self, name: str) -> bool:
        return bool(self.http.do("breakers.reset", name=name)["were"])

    def limit(self, name: str, key: Any = None) -> LimitSettings | None:
        view = next((each for each in self.limits() if each.name == name), None)
        if view is None:
            return None
        own = (taken for taken in view.takes if taken.has_own and taken.key == key)
        taken = next(own, None) if key is not None else None
        return view.settings if taken is None else taken.settings

    def set_limit(self, name: str, settings: LimitSettings, *, key: Any = None) -> bool:
        told = settings_json(settings)
        nothing = {"rate": "none", "concurrency": "none"}
        fields = {
            field: nothing.get(field) if told[field] is None else told[field] for field in told
        }
        if told["rate"] is None:
            del fields["burst"]  # it stays, and says nothing
        try:
            self.http.do("limits.set", limit=name, key=key, **fields)
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True

    def cancel_many(
        self, wanted: JobFilter, reason: str = "", *, by: str | None = None
    ) -> Iterator[list[Cancelled]]:
        """As beside Redis; who says so is the API's user, whatever ``by`` is."""
        for told in self._cancel(wanted, reason):
            yield [_cancelled(each) for each in told["jobs"]]

    def outcomes(
        self, asked: Sequence[Cancelled], wait: Seconds | None = WAIT_S
    ) -> Iterator[Cancelled]:
        ends = time.monotonic() + arguments.patience(wait, "wait")
        left = {each.uid: each for each in asked if each.uid}
        while left and time.monotonic() < ends:
            for uid, each in [*left.items()]:
                view = self.job(uid)
                if view is None or view.state in ("done", "dead", "cancelled"):
                    over = Cancelled.over(each.id, view)
                    is_stopped = over.outcome is CancelOutcome.was_waiting
                    outcome = CancelOutcome.stopped if is_stopped else over.outcome
                    yield Cancelled(each.id, uid, outcome)
                    del left[uid]
            if left:
                time.sleep(min(POLL_S, max(0.0, ends - time.monotonic())))
        yield from left.values()

    def purge(self, queue: str, *, page: int = PAGE) -> Iterator[int]:
        left = self.waiting(queue)
        while left > 0:
            size = min(page, left)
            yield self.http.do("queues.purge", queue=queue, page=size)["count"]
            left -= size

    def purge_dead(self, wanted: DeadFilter, *, page: int = PAGE) -> Iterator[int]:
        for told in self._dead_done("dead.purge", wanted, page):
            yield told["count"]

    def revive(
        self, wanted: DeadFilter, *, page: int = PAGE, refused: list[str] | None = None
    ) -> Iterator[int]:
        for told in self._dead_done("dead.revive", wanted, page):
            yield told["count"]
            if refused is not None:
                refused += told["refused"]

    # -- below -------------------------------------------------------------------------------

    def _get_or_none(self, path: str, **query: Any) -> Any:
        """What is answered; None: there is no such thing."""
        try:
            return self.http.get(path, **query)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def _dead(
        self, wanted: DeadFilter, after: str, size: int
    ) -> Iterator[tuple[list[JobView], int, str]]:
        """The dead, and where the next ones are."""
        if wanted.uids is not None:
            views = [self.job(uid) for uid in wanted.uids]
            yield [v for v in views if v is not None and v.state == "dead"], len(views), ""
            return
        following: str | None = after
        while following is not None:
            told = self.http.get(
                "/dead", name=wanted.name, error=wanted.error, older_than_s=wanted.older_than_s,
                fingerprint=wanted.fingerprint, limit=size, after=following,
            )  # fmt: skip
            jobs = told["jobs"]
            self._told |= {each["uid"]: each for each in jobs}
            following = told["next"]
            yield [reading.job(each) for each in jobs], told["looked_at"], following or ""

    def _dead_done(self, operation: str, wanted: DeadFilter, page: int) -> Iterator[dict[str, Any]]:
        if wanted.uids is not None:
            uids = [*wanted.uids]
            for start in range(0, len(uids), page):
                yield self.http.do(operation, jobs=uids[start : start + page])
            return
        which = {
            "name": wanted.name, "error": wanted.error, "older_than_s": wanted.older_than_s,
            "fingerprint": wanted.fingerprint,
        }  # fmt: skip
        all_ = wanted.is_everything or None
        after = ""
        while True:
            told = self.http.do(operation, **which, all=all_, page=page, after=after)
            yield told
            if not told["more"]:
                return
            after = told["after"]

    def _cancel(
        self, wanted: JobFilter, reason: str, *, dry_run: bool = False
    ) -> Iterator[dict[str, Any]]:
        ids = None if wanted.ids is None else [*wanted.ids]
        if ids is not None:
            for start in range(0, len(ids), CANCEL_MAX):
                some = ids[start : start + CANCEL_MAX]
                yield self.http.do("jobs.cancel_many", jobs=some, reason=reason, dry_run=dry_run)
            return
        after = ""
        while True:
            told = self.http.do(
                "jobs.cancel_many", name=wanted.name, queue=wanted.queue, reason=reason,
                dry_run=dry_run, page=CANCEL_MAX, after=after,
            )  # fmt: skip
            yield told
            if not told["more"]:
                return
            after = told["after"]


def _dead(view: JobView) -> Dead:
    return Dead(view.uid, view.died_ms, None, view.record)


def _cancelled(told: dict[str, Any]) -> Cancelled:
    outcome = told["outcome"]
    return Cancelled(told["id"], told["uid"], None if outcome is None else CancelOutcome(outcome))
