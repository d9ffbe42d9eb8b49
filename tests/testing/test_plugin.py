"""The plugin in suites of others: those that use it, in whatever loop, and those that don't."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

pytestmark = pytest.mark.direct

#: As strict as a suite can be.
STRICT = """
[pytest]
addopts = --strict-markers --strict-config -p no:cacheprovider
filterwarnings = error
"""

APP = """
import pytest
import trioq

app = trioq.App()

@app.job(retry=trioq.Retry(max_attempts=3, base=3600, cap=3600, jitter=0.0))
async def remind(who: str) -> None:
    if trioq.current_job().attempt < 3:
        raise ConnectionError

@pytest.fixture
def trioq_app():
    return app
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makefile(".ini", pytest=STRICT)
    return pytester


def test_it_is_used_in_any_loop(suite: pytest.Pytester) -> None:
    suite.makeconftest(APP)
    suite.makepyfile(
        """
        import asyncio

        import pytest
        import trio
        from conftest import remind


        async def test_by_itself(tq):
            await tq.client.enqueue(remind.call("ann"))
            assert (await tq.drain()).done == 1
            assert tq.now > 3600


        def test_in_ordinary_code(tq):
            tq.sync_client.enqueue(remind.call("ann"))
            tq.assert_enqueued(remind, who="ann")
            assert tq.run(tq.drain).done == 1


        def test_in_asyncio(tq):
            async def main():
                await tq.aio_client.enqueue(remind.call("ann"))
                assert (await tq.drain()).done == 1
                await tq.advance("1d")

            asyncio.run(main())
            assert tq.now > 24 * 3600


        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_in_that_of_anyio(tq, anyio_backend):
            tq.sync_client.enqueue(remind.call("ann"))
            assert (await tq.drain()).done == 1
            with pytest.raises(RuntimeError, match="tq.run"):
                await tq.start()


        @pytest.fixture
        async def running(tq):
            return await tq.start()


        @pytest.mark.trio
        async def test_in_that_of_pytest_trio_with_its_fixtures(tq, running, nursery):
            nursery.start_soon(trio.sleep, 3600)
            await tq.client.enqueue(remind.call("ann"))
            assert (await tq.drain()).done == 1
            assert running.runs


        class TestInAClass:
            async def test_one(self, tq):
                assert tq.enqueued() == []
                await trio.sleep(3600)


        @pytest.mark.xfail(strict=True, raises=ZeroDivisionError)
        async def test_that_fails(tq):
            1 / 0


        async def test_that_is_skipped(tq):
            pytest.skip("today")
        """
    )
    result = suite.runpytest_subprocess("-ra")
    result.assert_outcomes(passed=7, xfailed=1, skipped=1)


def test_a_failure_is_shown_as_where_it_is(suite: pytest.Pytester) -> None:
    suite.makeconftest(APP.replace("< 3:", "< 4:"))
    suite.makepyfile(
        """
        from conftest import remind

        async def test_drain(tq):
            await tq.client.enqueue(remind.call("ann"))
            await tq.drain()

        async def test_missed(tq):
            await tq.client.enqueue(remind.call("ann"))
            tq.assert_enqueued(remind, who="bob")
        """
    )
    result = suite.runpytest_subprocess()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*JobsDied: a job died, which the test hasn't said it expects: tq.deaths()*",
            "*conftest.py*in remind*",
            "*ConnectionError*",
            "*of 'remind' in 'default' died at attempt 3: failures*",
            "*who is 'ann', not 'bob'*",
        ]
    )


def test_the_apps_and_the_queues_are_those_of_the_configuration(suite: pytest.Pytester) -> None:
    suite.makepyfile(shop="import trioq\napp = trioq.App()\n\n@app.job\nasync def pay(): ...\n")
    suite.makefile(".toml", jobqueue='namespace = "shop"\napp = "shop:app"\n[[queues]]\nname = "q"')
    suite.makepyfile(
        """
        async def test_it(tq):
            await tq.client.enqueue("pay", {})
            tq.assert_enqueued("pay", queue="q")
            assert (await tq.drain()).done == 1
            assert tq.config.namespace == "shop"
        """
    )
    suite.runpytest_subprocess().assert_outcomes(passed=1)


def test_suites_that_do_not_use_it_load_nothing_of_it(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.makepyfile(
        """
        import sys

        def test_nothing():
            loaded = {name for name in sys.modules if name.startswith("trioq")}
            assert loaded == {"trioq", "trioq.testing", "trioq.testing.plugin"}
            assert not {"trio", "attrs", "redis", "asyncio.events"} & {*sys.modules}

        @__import__("pytest").fixture
        def tq():
            return 5

        def test_a_fixture_of_that_name(tq):
            assert tq == 5
        """
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite.runpytest_subprocess("-p", "trioq.testing.plugin").assert_outcomes(passed=2)


def test_it_can_be_left_out(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_one(): ...\ndef test_two(tq): ...")
    result = suite.runpytest_subprocess("-p", "no:trioq")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'tq' not found*"])


def test_a_configuration_is_found_in_the_rootdir_too(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.makefile(".toml", jobqueue='namespace = "shop"\n[[queues]]\nname = "mails"\n')
    test = """
    from datetime import UTC, datetime

    import pytest

    @pytest.fixture
    def trioq_begins():
        return datetime(2026, 10, 25, tzinfo=UTC)

    def test_it(tq):
        assert tq.config.queue_names == ("mails",)
        assert tq.time.year == 2026
    """
    suite.makepyfile(test)
    elsewhere = suite.mkdir("elsewhere")
    monkeypatch.chdir(elsewhere)
    suite.runpytest_subprocess("--rootdir", str(suite.path), str(suite.path)).assert_outcomes(
        passed=1
    )
