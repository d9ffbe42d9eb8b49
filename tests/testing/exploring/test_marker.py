"""A test of a user's that is explored, run by pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TEST = """
import pytest, trio
from trioq import App, Job

app = App()
made = []

class Psp:
    def __init__(self):
        self.charged = {}

    async def charge(self, order, key):
        self.charged[key] = order

@pytest.fixture
def trioq_app():
    return app

@pytest.fixture
def psp(tq):
    tq.deps = psp = Psp()
    made.append(psp)
    return psp

@app.job
async def charge(job: Job, order: int) -> None:
    await job.deps.charge(order, key=KEY)
    await trio.sleep(1)

@pytest.mark.trioq_explore(charge, faults=["crash", "cancel", "freeze"])
async def test_an_order_is_charged_once(tq, psp):
    await tq.client.enqueue(charge.call(order=7))
    await tq.drain()
    assert len(psp.charged) == 1

def test_fixtures_were_made_anew():
    assert len(made) == COUNT
"""


def run(tmp_path: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_shop.py").write_text(test)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *options],
        check=False, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=env,
    )  # fmt: skip


def test_what_a_test_asserts_is_the_invariant(tmp_path: Path) -> None:
    wrong = TEST.replace("KEY", "job.token")
    ended = run(tmp_path, wrong.replace("COUNT", "3"))
    assert "1 failed, 1 passed" in ended.stdout
    line = 1 + wrong.splitlines().index("    await job.deps.charge(order, key=job.token)")
    assert f"test_shop.py:{line}, after await job.deps.charge: the engine crashed there" in (
        ended.stdout
    )
    command = "--trioq-step=crash@2"
    assert f"pytest test_shop.py::test_an_order_is_charged_once {command}" in ended.stdout
    again = run(tmp_path, wrong.replace("COUNT", "2"), command)
    assert "1 failed, 1 passed" in again.stdout


def test_a_test_of_what_is_right_passes_once(tmp_path: Path) -> None:
    ended = run(tmp_path, TEST.replace("KEY", "job.uid").replace("COUNT", "19"))
    assert "2 passed" in ended.stdout, ended.stdout
    assert "19 runs, 5 steps" in ended.stdout


def test_what_the_marker_does_not_know_is_told(tmp_path: Path) -> None:
    options = ("fault='crash'", "faults=['crush']", "budget=0")
    head, _, test = TEST.partition("@pytest.mark.trioq_explore")
    tests = [
        "@pytest.mark.trioq_explore" + test.replace('faults=["crash", "cancel", "freeze"]', option)
        .replace("charged_once", f"charged_once_{n}")
        for n, option in enumerate(options)
    ]  # fmt: skip
    ended = run(tmp_path, head + "\n".join(tests), "-k", "charged_once")
    assert "3 failed" in ended.stdout
    for n, option in enumerate(options):
        said = ended.stdout.partition(f"test_an_order_is_charged_once_{n} _")[2].partition("\n___")[
            0
        ]
        assert option.partition("=")[0] in said
