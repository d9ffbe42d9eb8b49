"""``serve --queues a,b``: an engine that claims from some of the queues, and what others see."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest
import trio

import trioq
from tests.cli.conftest import Cli, lines, only_error, run, write_config
from tests.cli.test_doctor import findings
from tests.scene import Scene
from tests.support import Server, new_job, trioq_started, wait_until
from tests.test_service import an_app, until
from trioq.cli.wanted import Wanted
from trioq.core.config import Config, QueueConfig
from trioq.core.config.served import served
from trioq.errors import ConfigError
from trioq.processes.membership import Membership
from trioq.store.inspect import explain, explain_queue, stats

THREE = "".join(f'[[queues]]\nname = "{name}"\n' for name in ("high", "middle", "low"))


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> Cli:
    return Cli(write_config(tmp_path, server, THREE))


def test_the_order_of_priority_stays_that_of_the_configuration() -> None:
    config = Config(queues=(QueueConfig("a"), QueueConfig("b", weight=2.0), QueueConfig("c")))
    assert [queue.name for queue in served(config, ["c", "a", "c"])] == ["a", "c"]
    assert served(config, None) == config.queues


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["high", "lwo", "xyz"], ['queues: no queue "lwo"; did you mean "low"?',
                                  'queues: no queue "xyz"; there are "high", "low"']),
        ([], ["queues: an engine that claims from none does nothing; name some"]),
    ],
)  # fmt: skip
def test_what_is_no_queue_is_told_with_the_nearest(names: list[str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        trioq.Engine(trioq.App(), Config(), queues=names)
    assert list(caught.value.faults) == said


def test_serve_says_so_before_it_starts(cli: Cli) -> None:
    said = only_error(run("serve", cli.config, "--queues", "high, midle"), 2)
    assert said == '--queues: no queue "midle"; did you mean "middle"?'


def test_a_producer_claims_from_none(cli: Cli) -> None:
    said = only_error(run("serve", cli.config, "--role", "producer", "--queues", "high"), 2)
    assert said == "--queues: --role producer claims from none"


@pytest.mark.trio
async def test_it_claims_from_these_alone_and_what_nobody_serves_is_explained_so(
    cli: Cli, server: Server
) -> None:
    app, done, _ = an_app()
    some = trioq.Engine(app, cli.config, queues=["low", "middle"])
    store = server.store("t")
    async with trioq.connect(cli.config) as client, trio.open_nursery() as nursery:
        await nursery.start(some.run)
        left = await client.enqueue("greet", {"name": "high"}, queue="high")
        for queue in ("low", "middle"):
            await client.enqueue("greet", {"name": queue}, queue=queue)
        await until(lambda: sorted(done) == ["low", "middle"])
        (engine,) = stats(store).engines
        assert engine.info.queues == ("middle", "low")
        (why,) = explain(store, left.uid).reasons
        assert (why.why, why.data["served"]) == ("no_engine", ["low", "middle"])
        assert why.says == "no engine that lives serves high; there are some for low, middle"
        ((of_queue,), _, _) = explain_queue(store, "high")
        assert of_queue.says == why.says
        said = [said for _, said in findings(cli, "queues")]
        assert said == ["high: 1 job(s), and no engine serves it"]
        other = trioq.Engine(app, cli.config, queues=["high"])
        await nursery.start(other.run)
        await until(lambda: "high" in done)
        shown = lines(cli("stats").stdout)[-3:]
        assert {line.split("  ")[-1] for line in shown} == {"serves", "middle, low", "high"}
        some.drain()
        other.drain()
    store.lane.close()


@pytest.mark.trio
async def test_doctor_names_a_queue_that_is_left_out_before_a_job_is_in_it(cli: Cli) -> None:
    engine = trioq.Engine(an_app()[0], cli.config, queues=["low", "middle"])
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        told = await trio.to_thread.run_sync(findings, cli, "queues")
        assert [said for _, said in told] == ["high: 0 job(s), and no engine serves it"]
        engine.drain()


def test_a_drain_of_some_does_not_wait_for_what_others_run(cli: Cli, server: Server) -> None:
    store = server.store("t")
    scene = Scene.on(store)
    scene.enqueue(new_job("high"))
    scene.driver.step(1)  # it runs elsewhere, for as long as we like
    scene.enqueue(new_job("middle"), new_job("high"))
    config = cli.config
    config.write_text(config.read_text() + '[commands.noop]\nargv = ["true"]\n')
    with trioq_started(
        "serve", config, "--queues", "middle", "--drain", cwd=config.parent
    ) as engine:
        assert engine.wait(60) == 0
    left = stats(store, ["high", "middle"])
    assert (left.queues["middle"].waiting, left.queues["high"].ready) == (0, 1)
    store.lane.close()


def test_every_child_claims_from_these_alone() -> None:
    wanted = Wanted("q.toml", "all", 2, None, ("low", "high"))
    for leads in (True, False):
        argv = wanted.argv(Membership(1, 3, "s", ""), leads)
        at = argv.index("--queues")
        assert argv[at + 1] == "low,high"


@pytest.mark.direct
def test_processes_serve_these_alone_and_sighup_keeps_what_has_gone_from_the_file(
    cli: Cli, server: Server
) -> None:
    store = server.store("t")
    log = (cli.config.parent / "log").open("w+")

    def serving() -> list[tuple[str, ...]]:
        return [engine.info.queues for engine in stats(store).engines]

    with trioq_started(
        "serve", cli.config, "--queues", "high,low", "--processes", "2", stderr=log
    ) as supervisor:
        try:
            wait_until(lambda: serving() == [("high", "low")] * 2)
            were = {engine.id for engine in stats(store).engines}
            text = cli.config.read_text()
            cli.config.write_text(text.replace('name = "low"', 'name = "slow"'))
            os.kill(supervisor.pid, signal.SIGHUP)
            wait_until(lambda: "not_replaced" in Path(log.name).read_text())
            assert 'no queue \\"low\\"; did you mean \\"slow\\"?' in Path(log.name).read_text()
            assert {engine.id for engine in stats(store).engines} == were
            cli.config.write_text(text)
            os.kill(supervisor.pid, signal.SIGHUP)
            wait_until(
                lambda: (
                    were.isdisjoint(engine.id for engine in stats(store).engines)
                    and serving() == [("high", "low")] * 2
                )
            )
        finally:
            supervisor.terminate()
    assert supervisor.returncode == 0
    log.close()
    store.lane.close()


@pytest.mark.trio
async def test_ticks_of_a_schedule_reach_a_queue_that_the_engine_does_not_serve(
    cli: Cli, server: Server
) -> None:
    cli.config.write_text(
        cli.config.read_text()
        + '[schedules.often]\nevery = "1s"\njob = "greet"\npayload = { name = "t" }\n'
        + 'queue = "high"\n'
    )
    app, done, _ = an_app()
    engine = trioq.Engine(app, cli.config, queues=["low"])
    store = server.store("t")
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        asked = functools.partial(stats, store, ["high"])
        await until(lambda: asked().queues["high"].ready >= 1)
        engine.drain()
    assert not done
    store.lane.close()
