"""The bugs of the system that trioq grew out of, each with the test that it can't pass.

B33 has no counterpart: there is no administration over HTTP yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

import trioq
from tests.engine.rig import Rig, config_of, noop, rig_on
from tests.support import Server
from trioq.core.events import JobSucceeded
from trioq.core.formats.summary import decode_all

TESTS = Path(__file__).parent

#: What was wrong, and where it is tested that it isn't here.
BUGS: dict[str, tuple[str, str]] = {
    "B1": ("a worker stood still after its first job", "here::every_worker_runs_job_after_job"),
    "B2": ("a probe that found no job blocked the breaker for ever",
           "engine/runs/test_breaker::a_breaker_that_finds_no_job_when_it_turns_half_open"),
    "B3": ("each empty higher queue cost a second", "here::a_lower_queue_does_not_wait"),
    "B4": ("an error of Redis was taken for a dead worker",
           "engine/shard/test_reaper::an_outage_longer_than_the_lease_reaps_nobody"),
    "B5": ("the reaper took a job out before it put it back",
           "faults/test_kills::every_job_runs_when_engines_are_killed"),
    "B6": ("a job was forgotten though its retry wasn't written",
           "engine/shard/test_dispatcher::numbers_have_no_gaps_whatever_gets_lost"),
    "B7": ("a claim was unprotected until its heartbeat",
           "engine/shard/test_reaper::the_living_are_not_reaped_however_busy"),
    "B8": ("a heartbeat was never renewed",
           "engine/shard/test_heartbeat::a_careful_handler_is_left_alone_while_the_lease_is_renewed"),
    "B9": ("a good probe was undone by old failures",
           "engine/runs/test_breaker::a_good_probe_is_not_undone"),
    "B10": ("a straggler gave the verdict on the probe",
            "engine/runs/test_breaker::a_late_result_from_before_the_trip_decides_nothing"),
    "B11": ("shutdown cut jobs off and counted them as failed",
            "engine/test_shutdown::a_job_that_outlasts_the_grace_is_given_back"),
    "B12": ("recovery took far longer than promised",
            "engine/shard/test_reaper::jobs_of_a_killed_engine_run_again_within_a_lease"),
    "B13": ("a late completion counted",
            "engine/shard/test_lost_boots::an_outcome_that_comes_after_the_reap"),
    "B14": ("a wait had whole seconds", "engine/shard/test_bell::a_job_starts_when_its_bell_rings"),
    "B15": ("credentials from the environment were ignored",
            "cli/test_main::credentials_come_from_the_environment_b15"),
    "B16": ("traces recorded nothing",
            "observe/test_tracing::a_request_its_enqueue_and_its_run_are_one_trace"),
    "B17": ("several producers passed the limit",
            "engine/sources/test_sender::three_producers_share_the_rate_and_never_pass_it"),
    "B18": ("a limiter's key without an end blocked everybody",
            "engine/sources/test_sender::after_a_quiet_time_there_is_one_burst"),
    "B19": ("sleeps had whole seconds",
            "engine/sources/test_sender::after_a_quiet_time_there_is_one_burst"),
    "B20": ("queues were shown as empty", "cli/test_stats::queues_have_their_own_names"),
    "B21": ("names of keys were fixed here and free there",
            "cli/test_stats::queues_have_their_own_names"),
    "B22": ("a job that killed its worker came back for ever",
            "engine/shard/test_reaper::only_the_job_that_kills_its_engine_is_dead"),
    "B23": ("a job that couldn't be read was lost",
            "engine/runs/test_jobs::a_record_that_makes_no_sense_is_dead_and_hurts_nobody"),
    "B24": ("the benchmark counted what wasn't done",
            "cli/test_bench::what_isnt_done_is_said_and_not_counted"),
    "B25": ("a dead job had no error and one attempt left",
            "cli/test_dead::a_dead_job_has_its_reason_errors_payload_and_queue_b25"),
    "B26": ("two who revived lost or doubled jobs",
            "cli/test_dead::two_who_revive_at_once_revive_each_job_once"),
    "B27": ("waiting for a retry took a worker",
            "engine/runs/test_worker::a_job_that_waits_for_its_retry_holds_nobody_up"),
    "B28": ("the breaker counted shutdowns",
            "engine/runs/test_breaker::what_the_job_or_the_engine_is_to_blame_for"),
    "B29": ("a retry rewrote the payload", "here::a_retry_leaves_the_record_as_it_was"),
    "B30": ("the list of completed jobs grew for ever", "here::only_so_many_summaries_are_kept"),
    "B31": ("SIGTERM ended with 1", "cli/test_serve::a_signal_ends_it_with_0"),
    "B32": ("a restart enqueued every file again",
            "engine/sources/test_directory::a_restart_enqueues_only_what_is_new_or_changed"),
    "B34": ("idle workers used up the connections",
            "here::however_many_workers_wait_the_connections_are_the_same"),
    "B35": ("backoff overflowed to nothing",
            "core/test_retry::no_attempt_is_so_late_that_the_wait_overflows"),
    "B36": ("log lines were sampled away",
            "observe/test_logs::every_line_has_the_same_names"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_has_its_test(bug: str) -> None:
    file, _, name = BUGS[bug][1].partition("::")
    path = Path(__file__) if file == "here" else TESTS / f"{file}.py"
    assert re.search(rf"^(async )?def test_{name}", path.read_text(), re.M)


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    with rig_on(server) as rig:
        yield rig


@pytest.mark.trio
async def test_every_worker_runs_job_after_job(rig: Rig) -> None:
    @rig.app.job("short")
    async def short() -> None:
        await trio.sleep(0.001)

    rig.config = config_of(count=2)
    rig.enqueue("short", 100)
    async with rig.running():
        await rig.reported(JobSucceeded, 100)


@pytest.mark.trio
async def test_a_lower_queue_does_not_wait_for_the_empty_ones_above_it(rig: Rig) -> None:
    noop(rig)
    rig.config = config_of((*(f"above{n}" for n in range(50)), "low"), count=1)
    async with rig.running():
        started = trio.current_time()
        for n in range(1, 11):
            rig.enqueue("noop")
            await rig.reported(JobSucceeded, n)
        assert trio.current_time() - started < 10.0, "it was 50 seconds for each"


@pytest.mark.trio
async def test_a_retry_leaves_the_record_as_it_was(rig: Rig) -> None:
    @rig.app.job("failing", retry=trioq.Retry(max_attempts=9, base=600, cap=600))
    async def failing(**fields: object) -> None:
        raise ValueError

    (uid,) = rig.enqueue("failing", payload={"unknown": 1, "ü": [None, 1e300]})
    before = rig.key("HGET", "jobs", uid)
    async with rig.running():
        await rig.until(lambda: rig.stats().queues["low"].scheduled == 1)
    assert rig.key("HGET", "jobs", uid) == before


@pytest.mark.trio
async def test_only_so_many_summaries_are_kept(rig: Rig) -> None:
    noop(rig)
    rig.config = config_of(keep_done=20)
    async with rig.running():
        for ended in range(20, 101, 20):
            rig.enqueue("noop", 20)
            await rig.until(lambda ended=ended: rig.stats().counters.get("done") == ended)
    # Those that ended in one step go together.
    kept = [line for piece in rig.key("LRANGE", "done", 0, -1) for line in decode_all(piece)]
    assert 20 <= len(kept) < 40


@pytest.mark.trio
async def test_however_many_workers_wait_the_connections_are_the_same(
    rig: Rig, server: Server
) -> None:
    noop(rig)

    def connected() -> int:
        listed = server.call("CLIENT", "LIST").decode().splitlines()
        return sum("name=trioq:" in line for line in listed)

    counts = []
    for workers in (1, 100):
        rig.config = config_of(count=workers)
        async with rig.running():
            rig.enqueue("noop")
            await rig.reported(JobSucceeded, len(counts) + 1)
            # Each of its tasks opens a connection of its own, some of them later than the job ends.
            await rig.until(lambda: connected() >= 4)
            counts.append(connected())
        for connector in rig.connectors:
            connector.close()
    assert counts[1] <= counts[0] + 2
