"""What pages take for granted, and which of their blocks aren't run, and why."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from tests.pages.blocks import Block


@attrs.frozen
class Scene:
    """What is there before a page's first block."""

    files: Mapping[str, str] = {}
    """Beside those that the page itself has."""
    first: str = ""
    """Python, executed before any file of the page is written."""
    given: str = ""
    """Python, executed before the first block, in the same namespace, where an engine runs if one
    does at all."""
    then: str = ""
    """Likewise after the last one: what is to hold then."""
    serves: str | None = None
    """Before which block an engine begins, which runs from then on: how it begins, or nothing for
    all of them; None: there is none, unless the page has an ``ask.py``."""
    toml: str = ""
    """What stands above a part of a configuration."""
    words: Mapping[str, str] = {}
    """What stands for something else in commands."""
    faulty: str = ""
    """Of which configuration something is said."""


CONFIG = """
app = "jobs:app"
namespace = "page"
[[queues]]
name = "high"
[[queues]]
name = "low"
"""

JOBS = """
import trioq

app = trioq.App()


@app.job(result="1h")
def thumbnail(path: str, width: int = 256) -> str:
    return f"{path}.{width}.png"


@app.job
def remind(name: str) -> None: ...
"""


APP = "import trioq\napp = trioq.App()\n"

SCENES: Mapping[str, Scene] = {
    "README.md": Scene(
        files={"a.png": "", "b.png": ""},
        first="""
import shutil, subprocess, sys
from tests.pages.blocks import ROOT
shutil.copy(ROOT / "jobqueue.toml", ".")
shutil.copytree(ROOT / "docs" / "decisions", "docs")
subprocess.run([sys.executable, "-m", "trioq", "serve", "jobqueue.toml", "--drain"], check=True)
""",
        given="""
import trio, trioq, trioq.aio
from myproject.jobs import app, thumbnail
paths = ["a.png", "b.png"]
""",
        serves="# myproject/jobs.py",
    ),
    "docs/asyncio.md": Scene(given="import asyncio, trioq.aio\nfrom jobs import app"),
    "docs/clients.md": Scene(
        files={"jobs.py": JOBS},
        given="""
from datetime import UTC, datetime
from types import SimpleNamespace
import trioq
from jobs import app, remind, thumbnail
users = [SimpleNamespace(id=1, name="Ada", remind_at=datetime.now(UTC))]
""",
        then="""
with trioq.connect_admin("jobqueue.toml") as admin:
    admin.resume("low")
assert run(app, album.call(["a.png"])).result() == ["a.png.256.png"]
""",
        serves="",
    ),
    "docs/configuration.md": Scene(faulty="[worker]\ncount = 'four'\n"),
    "docs/deploying.md": Scene(given=APP, then="assert [*app.handlers] == ['send_mail', 'send']"),
    "docs/fair.md": Scene(
        files={
            "jobs.py": f"{JOBS}\n@app.job\ndef charge(tenant: str, cents: int) -> None: ...\n",
        },
        given="""
import trioq
from jobs import charge
calls = [charge.call("acme", 100)]
client = trioq.connect_sync("jobqueue.toml")
""",
        then="""
with trioq.connect_admin("jobqueue.toml") as admin:
    assert admin.stats().queues["low"].ready == 2
""",
        toml='app = "jobs:app"',
    ),
    "docs/fastapi.md": Scene(
        given="""
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from fastapi import FastAPI
from jobs import app
from trioq.contrib.starlette import lifespan

@app.job
async def warm_up() -> None: ...
""",
        then="""
import asyncio

async def enter() -> None:
    async with api.router.lifespan_context(api) as state:
        assert state == {"pool": ...}

asyncio.run(enter())
""",
    ),
    "docs/ids.md": Scene(
        files={"jobs.py": JOBS},
        given="""
import trioq
from jobs import app
client = trioq.connect_sync("jobqueue.toml")
page, site = "home", "example.com"

@app.job("page.report")
async def report(tenant: str) -> None: ...

@app.job
async def index(page: str) -> None: ...

@app.job
async def ping(site: str) -> None: ...
""",
        then="""
assert (second.uid == first.uid, second.existing, second.happened) == (True, "live", "existing")
assert client.handle('report:["acme","2030-01-31"]').name == "report"
""",
    ),
    "docs/install.md": Scene(),
    "docs/limits.md": Scene(
        files={
            "jobs.py": f"{JOBS}\n@app.job\ndef charge(tenant: str) -> None: ...\n"
            "@app.job\ndef refund(payment: str) -> None: ...\n",
            "jobqueue.toml": CONFIG + "[limits.per_tenant]\njobs = ['charge']\n"
            "key = 'tenant'\nconcurrency = 5\n",
            "faulty.py": f"{JOBS}\n@app.job(limits=trioq.Limit('stripe', rate=1))\n"
            "def charge() -> None: ...\n@app.job(limits=trioq.Limit('stripe', rate=2))\n"
            "def refund() -> None: ...\n",
        },
        given="""
import trioq
from tests.support import wait_until

with trioq.connect_admin("jobqueue.toml") as admin:
    wait_until(lambda: admin.limit("per_tenant"))

async def ask_stripe(payment: str) -> float | None:
    return None
""",
        then='assert run(app, capture.call("7")).state == "done"',
        serves="",
        toml='app = "jobs:app"',
        faulty='app = "faulty:app"\n[limits.stripe]\njobs = ["chrage"]\nrate = 1\n',
    ),
    "docs/middleware.md": Scene(
        files={"jobs.py": JOBS},
        given="""
heard = []

async def tell_somebody(*what: str) -> None:
    heard.append(what)
""",
        then="""
@app.job(retry=trioq.Retry(max_attempts=1))
async def fails() -> None:
    raise ValueError("no")

with trioq.connect_sync("jobqueue.toml") as client:
    assert run(app, fails.call()).state == "dead"
assert heard[0][:2] == ("fails", "ValueError: no")
""",
    ),
    "docs/observability.md": Scene(
        given="""
import logging
import structlog
""",
        then="structlog.reset_defaults()",
    ),
    "docs/operations.md": Scene(
        files={
            "jobs.py": f"{JOBS}\n@app.job\ndef charge(order: int) -> None: ...\n"
            "@app.job\ndef refund(order: int) -> None: ...\n"
            "@app.job\ndef fails() -> None:\n    raise trioq.GiveUp('no')\n",
        },
        given="""
import httpx, trioq
import jobs
with trioq.connect_sync("jobqueue.toml") as client:
    assert run(jobs.app, jobs.fails.call().with_options(id="dead")).state == "dead"
app = trioq.App()
""",
        words={"C": "jobqueue.toml", "ID": "dead"},
        toml='app = "jobs:app"',
    ),
    "docs/processes.md": Scene(files={"jobs.py": JOBS}),
    "docs/performance.md": Scene(given="import gc, sys"),
    "docs/results.md": Scene(
        given="""
import trioq
from shop import app, offer
context = trioq.connect("jobqueue.toml")
client = await context.__aenter__()
handle = await client.enqueue(offer.call("tea"), delay=60)
""",
        then="""
assert outcome == "was_waiting", outcome
await context.__aexit__(None, None, None)
run(app, convert.call(["a", "b"]))
""",
    ),
    "docs/schedules.md": Scene(
        files={"jobs.py": f"{JOBS}\n@app.job\ndef report(kind: str) -> None: ...\n"},
        given=f"""
{APP}
client = trioq.connect_sync("jobqueue.toml")
""",
        then="""
(nightly,) = app.schedules.values()
assert nightly.tz == "Europe/Berlin"
assert [each.name for each in client.schedules.list()] == ["acme-weekly"]
""",
        toml='app = "jobs:app"',
    ),
    "docs/sharing.md": Scene(
        given="""
import shop.jobs, mail.jobs, trioq
""",
        files={
            "shop/jobs.py": APP + "@app.job\ndef charge() -> None: ...\n",
            "mail/jobs.py": APP + "@app.job\ndef send() -> None: ...\n",
        },
        then="assert [*whole.handlers] == ['charge', 'send']",
    ),
    "docs/web.md": Scene(
        files={
            "jobs.py": JOBS,
            "jobqueue.toml": CONFIG,
            "shop/people.py": """
from types import SimpleNamespace

from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser


class SignedIn(AuthenticationBackend):
    async def authenticate(self, request):
        if name := request.cookies.get("name"):
            return AuthCredentials(["ops"]), SimpleUser(name)


async def person_of(token):
    return SimpleNamespace(email="ada@example.org", is_staff=True) if token == "t" else None
""",
            "settings.py": """
SECRET_KEY = "page"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
]
""",
            "urls.py": "urlpatterns = []\n",
        },
        then="""
import asyncio
import trio
from httpx import ASGITransport, AsyncClient
import api, asgi, web
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.core.management import call_command

async def asked(app, path, cookies):
    http = AsyncClient(transport=ASGITransport(app), base_url="http://shop", cookies=cookies)
    async with http:
        return (await http.get(path)).status_code

def ask(app, path, **cookies):
    return asyncio.run(asked(app, path, cookies))

def log_in():
    ada = get_user_model().objects.create_superuser("ada")
    session = asgi.sessions.SessionStore()
    session[SESSION_KEY] = str(ada.pk)
    session[BACKEND_SESSION_KEY] = asgi.settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = ada.get_session_auth_hash()
    session.save()
    return session.session_key

call_command("migrate", verbosity=0)
sessionid = log_in()
assert [ask(web.site, "/trioq/queues"), ask(web.site, "/trioq/queues", name="a")] == [401, 200]
assert trio.run(asked, web.site, "/trioq/queues", {"name": "ada"}) == 200
assert [ask(api.api, "/trioq/queues"), ask(api.api, "/trioq/queues", token="t")] == [401, 200]
assert ask(asgi.application, "/trioq/queues", sessionid=sessionid) == 200
assert [ask(asgi.application, "/trioq/queues"), ask(asgi.application, "/trioqs")] == [401, 404]
""",
    ),
}

#: Pages that are drawn from code, or checked as a whole, and by what.
ELSEWHERE: Mapping[str, str] = {
    "docs/api.md": "tests/test_docs.py",
    "docs/cli.md": "tests/cli/test_docs.py",
    "docs/django.md": "tests/contrib/test_django_page.py",
    "docs/keys.md": "tests/test_docs.py",
    "docs/lifecycle.md": "tests/test_docs.py",
    "docs/metrics.md": "tests/test_docs.py",
    "docs/scripts.md": "tests/test_docs.py",
    "docs/mutants.md": "tests/test_mutants.py",
    "docs/first-job.md": "tests/test_guides.py",
    "docs/project-layout.md": "tests/test_guides.py",
    "docs/testing.md": "tests/test_guides.py",
    "docs/exploring.md": "tests/test_guides.py",
    "docs/machines.md": "tests/testing/test_machines.py",
}

#: Blocks that aren't run, by their page and how they begin, and why.
NOT_RUN: Mapping[tuple[str, str], str] = {
    ("README.md", "$ make serve"): "makes an environment; what it then runs is run below it",
    ("README.md", "$ make test"): "would run this test",
    ("README.md", "$ trioq init"): "makes a project, and waits in it: tests/cli/test_init.py",
    (
        "README.md",
        "$ pip install",
    ): "asks a registry; see tests/test_install.py",
    ("docs/architecture.md", "face  "): "a drawing",
    ("docs/architecture.md", "client.enqueue ─"): "a drawing",
    ("docs/developing.md", "$ trioq run"): "copies a job of somebody's: tests/cli/test_run.py",
    ("docs/developing.md", "$ trioq shell"): "somebody types into a console",
    ("docs/developing.md", "12:01:07"): "a log of `trioq dev`, with times and names",
    ("docs/developing.md", "12:02:31"): "likewise",
    ("docs/developing.md", "12:03:10"): "likewise",
    ("docs/developing.md", "> /home"): "somebody types into a debugger",
    ("docs/developing.md", '{\n  "version"'): "an editor's settings",
    ("docs/install.md", "$ pip install"): "asks a registry; see above",
    (
        "docs/install.md",
        "trioq: observ",
    ): "without an extra: tests/test_install.py",
    ("docs/observability.md", "$ curl"): "has an engine wait for half a minute: tests/web",
    ("docs/performance.md", "$ make bench ARGS"): "takes a machine of its own for an hour",
    ("docs/performance.md", "$ make bench-peers"): "asks a registry for other queues",
    ("docs/performance.md", "hash-max"): "a setting of the server",
}


def why_not(block: Block) -> str | None:
    """Why a block isn't run here; None: it is."""
    if block.page in ELSEWHERE:
        return f"held by {ELSEWHERE[block.page]}"
    return next((why for entry, why in NOT_RUN.items() if means(entry, block)), None)


def means(entry: tuple[str, str], block: Block) -> bool:
    """Whether an entry is about this block."""
    page, beginning = entry
    return block.page == page and block.text.startswith(beginning)
