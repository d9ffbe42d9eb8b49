"""What is done to the dead: another chance, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import attrs

from trioq.store.inspect import DeadFilter
from trioq.web.masks import sensitive_of, unmasked
from trioq.web.operations.bulk import PAGE_MAX, After, Page, Quota
from trioq.web.operations.operation import Acting, Operation
from trioq.web.problems import Problem
from trioq.web.who.roles import Role


@attrs.frozen(kw_only=True)
class SomeDead:
    """Which: one or some by their ids, those to which all that is told applies, or all."""

    job: Annotated[str | None, "The id or uid of one."] = None
    jobs: Annotated[list[str], "The ids or uids of some, 1000 at most."] = attrs.field(
        factory=list[str]
    )
    name: Annotated[str | None, "Those of this handler."] = None
    error: Annotated[str | None, "Those with this text in the reason or last error."] = None
    fingerprint: Annotated[str | None, "Those whose last error has this fingerprint."] = None
    older_than_s: Annotated[float | None, "Those dead for longer than so many seconds."] = None
    all: Annotated[bool, "All dead jobs."] = False
    page: Page = None
    after: After = ""

    @property
    def filters(self) -> DeadFilter:
        """What is said, but of ids."""
        return DeadFilter(None, self.name, self.error, self.older_than_s, self.fingerprint)

    @property
    def ids(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(dict.fromkeys([*self.jobs, *([self.job] if self.job is not None else [])]))

    def check(self) -> None:
        """Refuse what doesn't say which.

        Raises:
          ValueError: With what would.
        """
        if self.ids and (self.all or not self.filters.is_everything):
            raise ValueError("job and jobs can't be combined with all or with filters")
        if not self.ids and not self.all and self.filters.is_everything:
            raise ValueError("say which: job, jobs, all, or a filter such as name")
        if len(self.ids) > PAGE_MAX:
            raise ValueError(f"jobs are {len(self.ids)}: {PAGE_MAX} at most in one request")


@attrs.define
class _Told:
    """What came of it."""

    count: int = 0
    after: str = ""
    unreadable: int = 0
    not_dead: list[str] = attrs.field(factory=list[str])

    def as_json(self, word: str) -> dict[str, Any]:
        left = "; there are more" if self.after else ""
        return {
            word: self.count,
            "count": self.count,
            "more": bool(self.after),
            "after": self.after,
            "not_dead": self.not_dead,
            "done": f"{word} {self.count:,}{left}",
        }


def _through(acting: Acting, what: SomeDead, act: Callable[[DeadFilter], Iterator[int]]) -> _Told:
    """Go through those that are meant, as far as one request goes."""
    quota, told = Quota(what.page), _Told()
    what.check()
    uids = acting.admin.uids_of(what.ids) if what.ids else {}
    wanted = DeadFilter(tuple(uids.values())) if what.ids else what.filters
    size = min(100, what.page or 100)
    met = set[str]()
    for page in acting.admin.dead_pages(wanted, after=what.after, size=size):
        told.unreadable += sum(job.record is None for job in page.jobs)
        if found := tuple(job.uid for job in page.jobs):
            met.update(found)
            told.count += sum(act(DeadFilter(found)))
        if page.next and quota.is_over(told.count):
            told.after = page.next
            break
    told.not_dead = [id for id in what.ids if uids.get(id) not in met]
    if what.job is not None and told.not_dead:
        _refuse(acting, what.job)
    return told


def _refuse(acting: Acting, id: str) -> None:
    view = acting.admin.job(id)
    if view is None:
        raise Problem(404, "No such job", f"there is no job {id[:200]!r}")
    raise Problem(409, "Not dead", f"{id[:200]!r} isn't dead: it is {view.state}")


def _revive(acting: Acting, what: SomeDead) -> dict[str, Any]:
    refused = list[str]()
    told = _through(acting, what, lambda wanted: acting.admin.revive(wanted, refused=refused))
    if what.job is not None and refused:
        raise Problem(409, "Not revived", "another job has its id, and waits or runs")
    if what.job is not None and told.unreadable:
        raise Problem(409, "Not revived", "it can't be read, so nobody knows its queue")
    said = told.as_json("revived")
    stay = len(refused) + told.unreadable
    said["done"] += f"; {stay:,} stay dead" if stay else ""
    return said | {"unreadable": told.unreadable, "refused": refused}


def _purge(acting: Acting, what: SomeDead) -> dict[str, Any]:
    return _through(acting, what, acting.admin.purge_dead).as_json("purged")


@attrs.frozen(kw_only=True)
class Edit:
    """Which, and what it is given from now on."""

    job: Annotated[str, "Its id, or its uid."]
    payload: Annotated[
        dict[str, Any], "All of it, an object; what is masked in it stays what it is."
    ]
    tells: Annotated[bool, "Also tell, and don't refuse, where it isn't dead."] = False


#: Why nothing was changed.
NOT_EDITED = {
    "taken": "another job has its id, and waits or runs",
    "unreadable": "it can't be read, so nobody knows its queue",
}


def _edit(acting: Acting, what: Edit) -> dict[str, Any]:
    content, sensitive = what.payload, sensitive_of(acting.config)
    if sensitive and (view := acting.admin.job(what.job)) is not None:
        content = unmasked(content, view.payload, sensitive)
    most = acting.config.max_payload_bytes
    result = acting.admin.edit(what.job, content, max_payload_bytes=most)
    if result != "revived" and not what.tells:
        if result == "unknown":
            raise Problem(404, "No such job", f"there is no job {what.job[:200]!r}")
        why = NOT_EDITED.get(result, f"it isn't dead: it is {result}")
        raise Problem(409, "Not edited", why)
    done = "revived with this payload" if result == "revived" else f"nothing was done: {result}"
    return {"job": what.job, "result": result, "done": done}


OPERATIONS = (
    Operation(
        name="dead.revive",
        role=Role.operate,
        does="Give dead jobs a new set of attempts, in the queues they came from.",
        takes=SomeDead,
        run=_revive,
    ),
    Operation(
        name="dead.edit",
        role=Role.admin,
        does="Give a dead job another payload, and a new set of attempts, in one write.",
        takes=Edit,
        run=_edit,
        is_grave=True,
    ),
    Operation(
        name="dead.purge",
        role=Role.admin,
        does="Forget dead jobs, with their payloads and errors, for good.",
        takes=SomeDead,
        run=_purge,
        is_grave=True,
    ),
)
