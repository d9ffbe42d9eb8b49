"""``trioq top``: screens as they stand on a terminal of 80 columns and 16 colours."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.cli.conftest import Cli, only_error, write_config
from tests.cli.screens import SIXTEEN, Run, terminals
from tests.scene import Scene
from tests.support import PATIENCE_S, Server, new_job, trioq_started
from trioq.cli.top.keys import keys
from trioq.cli.top.screen import Screen, share, short, span, sparkline, wrapped
from trioq.cli.top.ui import (
    Cancel,
    Listing,
    Page,
    Pause,
    Peek,
    Prompt,
    Question,
    Quit,
    Revive,
    Story,
    Ui,
    press,
)
from trioq.core.calls import Rate
from trioq.core.config import LimiterConfig
from trioq.core.formats import snapshot
from trioq.core.limiter import interval_us
from trioq.store.inspect import (
    Door,
    EngineView,
    Overview,
    Overviews,
    QueueStats,
    Stats,
    Trend,
    stats,
)
from trioq.store.redis import RedisStore

QUICK = ("--interval", "100ms")

APP = """
import trio
import trioq

app = trioq.App()


@app.job("stays")
async def stays():
    await trio.sleep_forever()


@app.job("fails", retry=trioq.Retry(max_attempts=2, base=0.01, cap=0.01))
async def fails():
    raise EOFError("none such \\x1b[31mfile")
"""

MORE = """
[worker]
count = 3
grace = "0s"
[circuit_breaker]
min_samples = 2
"""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return write_config(tmp_path, server)


@pytest.fixture
def working(server: Server, tmp_path: Path) -> Iterator[Path]:
    """An engine with two jobs that stay and one that dies; its configuration."""
    (tmp_path / "top_app.py").write_text(APP)
    config = write_config(tmp_path, server, MORE)
    text = config.read_text().replace('bind = ""', 'bind = ""\nqueue_sample_interval = "100ms"')
    config.write_text('app = "top_app:app"\n' + text)
    with (tmp_path / "log").open("w") as log:
        engine = trioq_started("serve", config, stderr=log)
    store = server.store()
    names = ["stays", "stays", "fails"]
    store.enqueue("a", 1, [new_job("low", name) for name in names])
    yield config
    store.lane.close()
    engine.send_signal(signal.SIGTERM)
    engine.wait(PATIENCE_S)


@pytest.fixture(params=terminals())
def terminal(request: pytest.FixtureRequest) -> Run:
    """Each that this machine has: an emulated one, and tmux where it is installed."""
    run: Run = request.param
    return run


def has(pattern: str) -> object:
    return lambda it: re.search(pattern, it.text, re.MULTILINE)


# -- screens -----------------------------------------------------------------------------------


@pytest.mark.direct  # a boot that registered unheard is a line more
def test_an_engine_at_work_on_one_screen(terminal: Run, working: Path) -> None:
    with terminal("top", working, *QUICK) as top:
        top.see(has(r"^low +0 +0 +0 +2 "))
        top.see(has(r"2/3 +2  stays [\d.]+s · stays [\d.]+s"))
        top.see(has(r"fails +2  EOFError: none such \\x1b\[31m… · dead: failures"))
        top.see(has(r"fails +1  EOFError: none such .* · again in 0\.0\d+ s"))
        top.see(has(r"BREAKERS fails open on 1"))
        top.see("2 running")
        top.see("1 dead")

        assert len(top.lines) == 24
        assert max(map(len, top.lines)) <= 80
        assert top.lines[-1].startswith("q quit")
        assert top.colours() <= SIXTEEN
        assert top.scrolled() == 0

        top.press("\t\r")
        top.see("runs")
        top.see(has(r"stays  low  attempt 1"))
        top.press("\r")
        top.see(has(r"^state +running on "))
        top.press("\x1b")
        top.see(has(r"stays  low  attempt 1"))
        top.press("\x1b")
        top.see("QUEUE")
        top.press("q")
        assert top.end() == 0


def test_a_queue_is_paused_after_a_question_that_only_y_answers(
    terminal: Run, config: Path, store: RedisStore
) -> None:
    def is_paused() -> bool:
        return stats(store, ["high"]).queues["high"].paused

    with terminal("top", config, *QUICK) as top:
        top.see(has("^high"))
        for key in ("\r", "n", "q", "\x1b"):
            top.press("p")
            top.see("Pause high? No engine claims from it until it is resumed. y/n")
            top.press(key)
            top.see("nothing changed")
        assert not is_paused()

        top.press("py")
        top.see("high is paused")
        top.see(has(r"^high +0 .* paused$"))
        assert is_paused()

        top.press("p")
        top.see("high is resumed")
        top.see(has(r"^high .*[▁█]$"))
        assert not is_paused()


def test_the_dead_are_revived_one_or_all_after_a_question(
    terminal: Run, config: Path, scene: Scene
) -> None:
    (uid,) = scene.dead(new_job("high", "thumbnail"))
    scene.many_dead(999)
    with terminal("top", config, *QUICK) as top:
        top.see("1,000 dead")
        top.press("\t\t")
        top.see(has(r"thumbnail +1  \w+: no such file"))
        top.press("r")
        top.see(f"Revive thumbnail {uid}? y/n")
        top.press("y")
        top.see("1 revived")
        top.see("999 dead")

        top.press("R")
        top.see("Revive all 999 dead jobs? y/n")
        top.press("\r")
        top.see("nothing changed")
        top.press("Ry")
        top.see("999 revived")
        top.see(has(r"^low +999 "))
        assert stats(scene.store).dead == 0


def test_a_job_is_cancelled_after_a_question(terminal: Run, config: Path, scene: Scene) -> None:
    first, second = scene.enqueue(new_job("high", "thumbnail"), new_job("high", "thumbnail"))
    with terminal("top", config, *QUICK) as top:
        top.see("QUEUE")
        top.press("\r")
        top.see("next in high")
        top.see(second)
        top.press("c")
        top.see(f"Cancel {first}")
        top.press("\r")
        top.see("nothing changed")
        top.press("jc")
        top.see(f"Cancel {second}")
        top.press("y")
        top.see(f"{second}: cancelled")
        assert list(scene.store.engines()) == [scene.driver.engine]
        assert scene.store.lane.call("HKEYS", "{t}:jobs") == [first.encode()]
        top.press("cy")  # the other one is no longer there
        top.see(f"{first}: cancelled")
        assert not scene.driver.step(2)


def test_a_job_is_looked_at_by_its_id_and_its_queue_by_a_key(
    terminal: Run, config: Path, scene: Scene
) -> None:
    scene.enqueue(new_job("high", "thumbnail", b'{"path":"a.png"}', id="q1"))
    with terminal("top", config, *QUICK) as top:
        top.see("QUEUE")
        top.press("/")
        top.see("job:")
        top.press("nq1\x7f\x7f\x7fq1")  # letters are letters here
        top.see("job: q1")
        top.press("\r")
        top.see('"path": "a.png"')
        top.press("\x1b\r")
        top.see("next in high")
        top.see("thumbnail")
        top.press("\x1b/nobody\r")
        top.see("no job nobody")


@pytest.mark.direct  # a repeated answer has no time to wait
def test_the_limiter_is_shown_as_producers_have_used_it(
    terminal: Run, server: Server, tmp_path: Path, scene: Scene
) -> None:
    limit = LimiterConfig(rate=0.02, burst=5)  # 50 s for each
    more = f"[limiter]\nrate = {limit.rate}\nburst = {limit.burst}\n"
    rate = Rate("producer", interval_us(limit.rate), limit.burst)
    with terminal("top", write_config(tmp_path, server, more), *QUICK) as top:
        for taken in range(limit.burst + 1):
            top.see(f"LIMITER 0.02/s, {taken} of 5 permits taken")
            answer = scene.store.enqueue("producer", taken + 1, [new_job()], rate=rate)
            assert (answer.wait_us > 0) == (taken == limit.burst)


def test_no_limit_is_shown_as_none(terminal: Run, server: Server, tmp_path: Path) -> None:
    config = write_config(tmp_path, server, "[limiter]\nrate = 0\n")
    with terminal("top", config, *QUICK) as top:
        top.see("LIMITER none   BREAKERS all closed")


def test_a_server_that_is_away_is_said_and_holds_no_key_up(
    terminal: Run, own_server: Server, tmp_path: Path
) -> None:
    config = write_config(tmp_path, own_server)
    text = config.read_text().replace("[observability]", 'read_timeout = "1s"\n[observability]')
    config.write_text(text)
    with terminal("top", config, *QUICK) as top:
        top.see("QUEUE")
        own_server.pause()
        try:
            top.see("no answer")
            top.press("?")
            top.see("any key goes back")
            top.press("?")
            top.see("QUEUE")
        finally:
            own_server.resume()
        top.see(lambda it: "no answer" not in it.text)
        own_server.pause()
        top.press("q")
        assert top.end() == 0


def test_any_size_will_do_and_no_more_than_ascii(terminal: Run, config: Path, scene: Scene) -> None:
    scene.many_dead(30)
    env = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with terminal("top", config, *QUICK, env=env) as top:
        top.see(has(r"^low .* _+$"))
        assert top.text.isascii()
    with terminal("top", config, *QUICK) as top:
        top.see("FAILED")
        top.resize(50, 10)
        top.see(lambda it: "FAILED" not in it.text and "QUEUE" in it.text)
        top.resize(120, 50)
        top.see(lambda it: len([line for line in it.lines if "dead: " in line]) == 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_as_it_was_when_it_ends(
    terminal: Run, config: Path, number: signal.Signals
) -> None:
    with terminal("top", config, *QUICK) as top:
        before = top.modes()
        top.see("QUEUE")
        assert top.modes() != before
        top.press("\x1a")  # Ctrl-Z would leave it in between
        os.kill(top.pid, number)
        assert top.end() == 0
        assert top.modes() == before
        assert top.has_cursor()


def test_it_needs_a_terminal(trioq: Cli) -> None:
    assert only_error(trioq("top"), 2) == ("top needs a terminal; `trioq stats` prints to anything")


def test_nobody_looks_more_often_than_can_be_read(trioq: Cli) -> None:
    for interval in ("0", "50ms"):
        ended = trioq("top", "--interval", interval)
        assert ended.exit_code == 2
        assert "--interval: at least 0.1 s between two looks." in ended.stderr


# -- looking -----------------------------------------------------------------------------------


def test_a_look_costs_the_same_however_much_there_is(server: Server, scene: Scene) -> None:
    def cost() -> tuple[int, int]:
        before = server.call("INFO", "stats")
        overviews.take()
        after = server.call("INFO", "stats")
        fields = (b"total_commands_processed", b"total_net_output_bytes")
        return tuple(_field(after, name) - _field(before, name) for name in fields)  # type: ignore[return-value]

    scene.enqueue(new_job("low"))
    scene.many_dead(100)
    overviews = Overviews(scene.store, ("high", "low"), None)
    overviews.take()
    little = cost()
    for _ in range(20):  # each well within a client's patience
        server.call(
            "EVAL",
            "local from = redis.call('LLEN', KEYS[1])"
            " for i = from, from + 9999 do"
            " redis.call('LPUSH', KEYS[1], i) redis.call('ZADD', KEYS[2], i, 'x' .. i) end",
            2, "{t}:ready:low", "{t}:scheduled:low",
        )  # fmt: skip
    scene.many_dead(20_000)
    overviews.take()
    commands, size = cost()
    assert commands == little[0]
    assert size < little[1] + 1000
    assert overviews.take().stats.queues["low"].ready == 200_001


def _field(info: bytes, name: bytes) -> int:
    return int(next(line for line in info.splitlines() if line.startswith(name)).split(b":")[1])


# -- what is pure ------------------------------------------------------------------------------


def overview(at: float, *, done: int = 0, dead: int = 0, paused: bool = False) -> Overview:
    queue = QueueStats(done, 0, 0, 0, 0, paused, True)
    counted = Stats("t", {"low": queue}, {"done": done}, dead, 0, ())
    engine = EngineView("e.boot", "e", 4, 0, True, done={"low": done})
    return Overview(at, 0, counted, (engine,), ())


def test_rates_are_those_of_the_last_seconds() -> None:
    trend = Trend()
    assert trend.rate("done") is None
    for at in range(20):
        trend.add(overview(float(at), done=at * 10 if at < 10 else 100 + (at - 10) * 50))
    assert trend.rate("done") == 50
    assert trend.done_rate("low") == 50
    assert trend.done_rate("high") == 0
    assert trend.ready("low")[:3] == [0, 10, 20]


def test_a_queue_that_is_gone_is_forgotten() -> None:
    trend = Trend()
    trend.add(overview(0.0, done=1))
    assert trend.ready("low") == [1]
    trend.add(attrs.evolve(overview(1.0), stats=Stats("t", {}, {}, 0, 0, ())))
    assert trend.ready("low") == []


def test_an_engine_that_told_nothing_yet_has_no_rate() -> None:
    trend = Trend()
    trend.add(overview(0.0))
    quiet = attrs.evolve(overview(1.0), engines=(EngineView("e.boot", "e", 4, 0, False),))
    trend.add(quiet)
    assert trend.done_rate("low") is None


def test_a_job_is_as_old_as_it_was_when_its_engine_told_of_it() -> None:
    run = snapshot.Run("u", "greet", "low", 1, since_ms=1_000_000)
    engine = EngineView("e.boot", "e", 4, 1, True, at_ms=1_000_500, busy=1, runs=(run,))
    trend = Trend()
    # This look came a second later, and by a clock that is an hour ahead.
    trend.add(attrs.evolve(overview(1.0), engines=(engine,), now_ms=4_601_500))
    drawn = "\n".join(line.plain for line in Screen(80, 24, "there").draw(trend, Ui()))
    assert "greet 0.5s" in drawn


def test_handlers_that_go_on_without_a_job_are_counted() -> None:
    abandoned = {"stubborn": 2, "endless": 1}
    engine = EngineView("e.boot", "e", 4, 1, True, abandoned=abandoned)
    trend = Trend()
    trend.add(attrs.evolve(overview(1.0), engines=(engine,)))
    drawn = "\n".join(line.plain for line in Screen(80, 24, "there").draw(trend, Ui()))
    assert "3 abandoned" in drawn


def test_how_far_a_job_is_stands_beside_it_and_in_the_list_of_what_runs() -> None:
    run = snapshot.Run("u", "greet", "low", 1, since_ms=1_000_000, progress=0.4, text="page \x1b12")
    engine = EngineView("e.boot", "e", 4, 1, True, at_ms=1_000_500, busy=1, runs=(run,))
    trend = Trend()
    there = attrs.evolve(overview(1.0), engines=(engine,))
    trend.add(there)
    drawn = "\n".join(line.plain for line in Screen(80, 24, "there").draw(trend, Ui()))
    assert "greet 0.5s 40%" in drawn
    ui, _ = press(Ui(panel="engines"), "enter", there)
    (listing,) = ui.above
    assert isinstance(listing, Listing)
    assert listing.rows == (("u", "u  greet  low  attempt 1  40%  page \x1b12"),)


def test_a_process_of_a_supervisor_is_shown_as_that_and_its_number() -> None:
    long = "a-machine-with-a-long-name-4711-ff00ff"
    engine = EngineView("e.boot", "e", 4, 1, False, supervisor=long, process=12)
    trend = Trend()
    trend.add(attrs.evolve(overview(1.0), engines=(engine,)))
    drawn = "\n".join(line.plain for line in Screen(80, 24, "there").draw(trend, Ui()))
    assert re.search(r"^a-machine-with-a-lon\S+ #12  ", drawn, re.M)


def test_a_breaker_that_all_engines_share_is_shown_once_and_as_the_last_has_heard() -> None:
    stripe = snapshot.Shut("stripe", ("charge", "refund"), "open", 1, shared=True)
    later = attrs.evolve(stripe, state="half_open", since_ms=2)
    own = snapshot.Shut("mail", ("mail",), "open", 1)
    engines = tuple(
        EngineView(id, id, 4, 0, True, shut=shut)
        for id, shut in {"e": (stripe, own), "f": (later, own), "g": (stripe,)}.items()
    )
    trend = Trend()
    trend.add(attrs.evolve(overview(1.0), engines=engines))
    drawn = "\n".join(line.plain for line in Screen(120, 24, "there").draw(trend, Ui()))
    assert "BREAKERS mail open on 2  stripe half-open on all" in drawn


def test_of_a_queue_it_is_shown_how_many_wait_for_limits_and_for_room() -> None:
    made = overview(1.0)
    (name, queue), *_ = made.stats.queues.items()
    queue = attrs.evolve(queue, paused=False, served=True, limited=12, in_line=3)
    trend = Trend()
    trend.add(attrs.evolve(made, stats=attrs.evolve(made.stats, queues={name: queue})))
    drawn = [line.plain for line in Screen(100, 24, "there").draw(trend, Ui())]
    (row,) = (line for line in drawn if line.startswith(f"{name} "))
    assert row[61:].startswith("12 limited 3 in line for room ")
    assert len(row) <= 100


def test_names_that_nobody_knows_are_shown_with_their_parked_jobs() -> None:
    unknown = [Door("low", f"name{n}", 9 - n, None, ("unknown_name",)) for n in range(5)]
    broken = Door("low", "broken", 7, None, ("breaker",), {"e": "open"})
    trend = Trend()
    trend.add(attrs.evolve(overview(1.0), doors=(broken, *unknown)))
    drawn = "\n".join(line.plain for line in Screen(120, 24, "there").draw(trend, Ui()))
    assert "UNKNOWN name0 9, name1 8, name2 7 and 2 more" in drawn


def test_keys_are_read_from_what_terminals_send() -> None:
    data = b"a\x1b[A\x1bOB\x1b[5~\x1b[1;5Cq\x1b[Z\t\r\x7f\xc3\xa9\x01\xff"
    assert keys(data) == [
        "a",
        "up",
        "down",
        "page up",
        "q",
        "back",
        "tab",
        "enter",
        "backspace",
        "é",
    ]
    assert keys(b"\x1b") == ["escape"]


def test_keys_do_what_the_last_thing_opened_makes_of_them() -> None:
    now = overview(0.0, dead=3)
    ui = Ui()
    assert press(ui, "q", None) == (ui, Quit())
    assert press(ui, "enter", now) == (ui, Peek("low"))
    assert press(ui, "p", overview(0.0, paused=True))[1] == Pause("low", False)

    asked, wish = press(ui, "p", now)
    assert isinstance(asked.above[-1], Question)
    assert wish is None
    assert press(asked, "y", now) == (ui, Pause("low", True))
    assert press(asked, "enter", now)[1] is None

    revived, _ = press(ui, "R", now)
    assert press(revived, "y", now)[1] == Revive(None)
    assert press(ui, "R", overview(0.0)) == (ui.told("none is dead"), None)

    listing = ui.opened(Listing("next", (("u1", "u1  mail"), ("u2", "u2  mail")), 1))
    assert listing.without("u2").above == (Listing("next", (("u1", "u1  mail"),)),)
    cancelling, wish = press(listing, "c", now)
    assert wish is None
    assert press(cancelling, "y", now) == (listing, Cancel("u2"))
    assert press(cancelling, "c", now)[1] is None
    assert press(ui.opened(Listing("next", ())), "c", now)[1] is None

    typing = ui.opened(Prompt())
    for key in ("q", "tab", "1"):
        typing, wish = press(typing, key, now)
        assert wish is None
    assert press(typing, "enter", now) == (ui, Story("q1"))

    page = ui.opened(Page(("a", "b")))
    assert press(page, "page down", now)[0] == ui.opened(Page(("a", "b"), 1))
    assert press(page, "q", now) == (ui, None)


@pytest.mark.parametrize(
    ("room", "wanted", "given"),
    [
        (12, [2, 1, 50], [2, 1, 9]),
        (12, [50, 50, 50], [4, 4, 4]),
        (12, [50, 1, 0], [10, 1, 1]),
        (3, [5, 5, 5], [1, 1, 1]),
        (12, [0, 0, 0], [1, 1, 1]),
    ],
)
def test_panels_share_the_screen(room: int, wanted: list[int], given: list[int]) -> None:
    assert share(room, wanted) == given


def test_figures_fit() -> None:
    assert sparkline([0, 1, 50, 100], 4) == "▁▂▅█"
    assert sparkline([5, 0, 0], 2) == "▁▁"
    assert sparkline([], 9) == ""
    assert [short(n) for n in (0, 1234, 9_999_999, 12_345_678)] == [
        "0",
        "1,234",
        "9,999,999",
        "12.3M",
    ]
    assert [span(s) for s in (-1, 3.21, 59.9, 61, 7260)] == [
        "0.0s",
        "3.2s",
        "59.9s",
        "1m01s",
        "2h01m",
    ]
    assert wrapped("  abcdef", 5) == ["  abc", "  def"]
    assert wrapped("", 5) == [""]
