"""The examples do what they say, run as their users would run them."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO

import pytest

from tests.support import PATIENCE_S, trioq, trioq_started
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.store.inspect import stats

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the folder, so that its embedded server's data goes away with the test."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


def python(script: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, str(script), *map(str, arguments)]


@pytest.fixture
def embedding(examples: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        python(examples / "embedded_engine.py", examples / "example.toml", "0"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def line_with(stream: IO[str] | None, text: str) -> str:
    """The next line that has this text."""
    assert stream is not None
    return next(line.strip() for line in stream if text in line)


def test_an_engine_runs_beside_an_http_server(embedding: subprocess.Popen[str]) -> None:
    url = line_with(embedding.stdout, "listening on").split()[-1]
    for name in ("Ada", "Grace"):
        request = urllib.request.Request(f"{url}/greet?name={name}", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202
            assert len(answer.read().strip()) == 32
        assert line_with(embedding.stdout, "hello") == f"hello {name} (attempt 1)"
    embedding.send_signal(signal.SIGINT)
    assert embedding.wait(timeout=PATIENCE_S) == 0


def test_ordinary_code_enqueues(examples: Path, tmp_path: Path) -> None:
    config = examples / "example.toml"
    (tmp_path / "a.txt").write_text("hello")
    argv = python(examples / "sync_enqueue.py", config, tmp_path / "a.txt")
    first, second = (
        subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[-1]
        for _ in range(2)
    )
    assert (first, second) == ("queued", "live"), "one id, one job"

    assert trioq("serve", config, "--drain").returncode == 0
    with open_store(load(config), read_only=True) as connector:
        counted = stats(connector.store("test"))
    assert (counted.counters["done"], counted.dead) == (1, 0)


@pytest.fixture
def serving(examples: Path) -> Iterator[Callable[[str], None]]:
    """Starts ``trioq serve`` with one of the examples' configurations, which are its own."""
    with ExitStack() as stack:

        def serve(config: str) -> None:
            engine = subprocess.Popen(
                [sys.executable, "-m", "trioq", "serve", examples / config],
                stderr=subprocess.DEVNULL,
            )
            stack.enter_context(engine)
            stack.callback(engine.terminate)

        yield serve


def test_commands_run_one_after_the_other(
    examples: Path, tmp_path: Path, serving: Callable[[str], None]
) -> None:
    serving("pipeline.toml")
    paths = [tmp_path / "fruit", tmp_path / "trees"]
    paths[0].write_text("pear\napple\nfig\n")
    paths[1].write_text("oak\nash\n")
    argv = python(examples / "command_pipeline.py", examples / "pipeline.toml", *paths)
    told = subprocess.run(argv, check=True, timeout=90, capture_output=True, text=True).stdout
    assert told.split() == [f"{path}.sorted.gz" for path in paths]
    made = [gzip.decompress(Path(path).read_bytes()) for path in told.split()]
    assert made == [b"apple\nfig\npear\n", b"ash\noak\n"]


def test_a_script_takes_many_results_as_they_come(
    examples: Path, serving: Callable[[str], None]
) -> None:
    serving("many.toml")
    argv = python(examples / "many_results.py", examples / "many.toml", "20")
    told = subprocess.run(argv, check=True, timeout=90, capture_output=True, text=True).stdout
    assert told == "2262 primes below 20000\n"


def test_a_web_view_waits_for_a_result(examples: Path, serving: Callable[[str], None]) -> None:
    def ask(month: str) -> tuple[int, dict[str, object]]:
        try:
            with urllib.request.urlopen(f"{url}/reports/{month}", timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    argv = python(examples / "web_result.py", examples / "web.toml", "0")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as web:
        try:
            url = line_with(web.stdout, "listening on").split()[-1]
            assert ask("2026-11") == (202, {"again_in_s": 2}), "no engine runs yet"
            serving("web.toml")
            while (told := ask("2026-11"))[0] == 202:
                pass
            assert told == (200, {"month": "2026-11", "orders": 22286})
            assert ask("2026-13") == (404, {"error": "no month 2026-13"})
        finally:
            web.kill()


def test_what_computes_does_it_in_processes(examples: Path) -> None:
    config = examples / "compute.toml"
    subprocess.run(python(examples / "compute.py", config, "5", "6"), check=True)
    served = trioq("serve", config, "--drain")
    assert served.returncode == 0, served.stderr
    five, six = sorted(served.stdout.splitlines())
    assert five.startswith("5 queens: 10 ways, counted by ")
    assert six.startswith("6 queens: 4 ways, counted by ")


@pytest.fixture
def shop(examples: Path) -> Iterator[str]:
    """Where the shop's pages are."""
    argv = [sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:0", "shop.web:api"]
    with subprocess.Popen(argv, cwd=examples / "shop", stderr=PIPE, text=True) as web:
        yield line_with(web.stderr, "Running on").split("on ")[1].split()[0]
        web.terminate()


def test_the_shop_sells(examples: Path, shop: str) -> None:
    def ask(method: str, path: str, body: object = None) -> tuple[int, bytes]:
        request = urllib.request.Request(f"{shop}/{path}", method=method)
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def told(path: str) -> object:
        return json.loads(ask("GET", path)[1])

    for order, card in (("7", "4242"), ("8", "stolen")):
        wanted = {"email": "ada@example.com", "card": card, "cents": 1999}
        for _ in range(2):
            assert ask("PUT", f"orders/{order}", wanted)[0] == 202
    assert told("orders/7?wait=0.1") == "new", "no engine runs yet"
    (examples / "shop/data/a.ppm").write_bytes(b"P6 8 4 255\n" + bytes(range(96)))

    with trioq_started("serve", cwd=examples / "shop", stdout=PIPE, stderr=DEVNULL) as engine:
        assert told("orders/7?wait=10") == "paid"
        assert told("orders/8?wait=10") == "refused"
        assert ask("GET", "pictures/a.ppm?width=4")[1].startswith(b"P6 4 2 255\n")
        assert ask("GET", "pictures/b.ppm?width=4")[0] == 404
        mails = {line_with(engine.stdout, "mail to") for _ in range(2)}
        assert mails == {f"mail to ada@example.com: Your order {n}" for n in (7, 8)}
        engine.terminate()


@pytest.mark.parametrize(
    "options",
    [pytest.param([], marks=pytest.mark.long), ["--trioq-redis"]],
    ids=["in memory", "on redis"],
)
def test_the_shop_passes_its_own_tests(examples: Path, options: list[str]) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options],
        cwd=examples / "shop", capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout
