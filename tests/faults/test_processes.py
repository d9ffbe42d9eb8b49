"""``trioq serve --processes`` with real engines that are hurt: nothing is lost, and nothing runs
twice for no reason."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.faults.fleet import Fleet, Hurt
from tests.support import PATIENCE_S, Server, trioq, trioq_started, wait_until

pytestmark = [pytest.mark.timeout(300), pytest.mark.direct]


@attrs.define
class Served:
    """``trioq serve`` with several processes, on a fleet's configuration."""

    fleet: Fleet
    process: subprocess.Popen[str] = attrs.field(init=False)
    log: Path = attrs.field(init=False)

    def start(self, *options: str, more: str = "", stdin: int | None = None, **env: str) -> Served:
        """Start it.

        Args:
          more: At the end of the configuration, in its [observability].
        """
        fleet = self.fleet
        text = fleet.config.read_text().replace('bind = ""\n', "")
        if "bind" not in more:
            more = f'bind = ""\n{more}'
        fleet.config.write_text(text + more)
        self.log = fleet.directory / f"supervisor-{len(fleet.engines)}.log"
        with self.log.open("w") as log:
            self.process = trioq_started(
                "serve", fleet.config, *options, cwd=fleet.directory,
                env={"RUNS": str(fleet.directory / "runs"), **env}, stderr=log, stdout=log,
                start_new_session=True, stdin=stdin,
                preexec_fn=None if stdin is None else take_terminal,
            )  # fmt: skip
        fleet.engines.append(self.process)
        return self

    def lines(self) -> list[dict[str, Any]]:
        text = self.log.read_text()
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == event]

    def pids(self) -> dict[int, int]:
        """The children that live and are ready, by their numbers."""
        ready = {line["process"] for line in self.told("child_ready")}
        ended = {
            line["process"] for line in self.lines() if line["event"].startswith("child_ended")
        }
        started = self.told("child_started")
        return {c["process"]: c["pid"] for c in started if c["process"] in ready - ended}

    def until_ready(self, *numbers: int) -> None:
        wait_until(lambda: sorted(self.pids()) == [*numbers])

    def kill_child(self, number: int) -> None:
        """SIGKILL."""
        pid = self.pids()[number]
        self.fleet.hurt.append(Hurt(pid, time.monotonic()))
        os.kill(pid, signal.SIGKILL)

    def kill_child_when_busy(self, number: int) -> None:
        """SIGKILL, while handlers run in it: what the server counts it may only have claimed."""
        pid = self.pids()[number]
        wait_until(lambda: sum(r.pid == pid and r.ended_s is None for r in self.fleet.runs()) >= 8)
        self.kill_child(number)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_S)


def take_terminal() -> None:
    """Its input is the terminal that it belongs to."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def served(own_server: Server, tmp_path: Path) -> Iterator[Served]:
    fleet = Fleet(own_server, tmp_path)
    served = Served(fleet)
    yield served
    for process in fleet.engines:
        if process.poll() is None:
            process.kill()
            process.wait()
    wait_until(lambda: not any(map(is_alive, all_pids(served))))


def all_pids(served: Served) -> list[int]:
    return [line["pid"] for line in served.told("child_started")]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def all_ran_once_or_for_a_reason(fleet: Fleet, jobs: int) -> None:
    stats = fleet.wait_done(jobs)
    assert (stats.counters["done"], stats.dead) == (jobs, 0)
    assert len({run.uid for run in fleet.runs()}) == jobs
    assert fleet.unexplained() == []


def test_children_that_are_killed_are_replaced_and_their_jobs_run_elsewhere(
    served: Served,
) -> None:
    fleet, jobs = served.fleet, 600
    served.start("--processes", "2")
    served.until_ready(1, 2)
    fleet.enqueue(jobs, fields=', "wait": 0.3')
    served.kill_child_when_busy(1)
    served.until_ready(2, 3)
    fleet.enqueue(jobs, fields=', "wait": 0.3')
    served.kill_child_when_busy(2)
    all_ran_once_or_for_a_reason(fleet, 2 * jobs)
    assert fleet.kills_that_hit() == 2
    assert served.stop() == 0
    assert fleet.stats().engines == ()


def test_children_whose_supervisor_is_killed_finish_what_they_run_and_leave(
    served: Served,
) -> None:
    fleet, jobs = served.fleet, 600
    served.start("--processes", "2")
    served.until_ready(1, 2)
    fleet.enqueue(jobs, fields=', "wait": 0.2')
    wait_until(lambda: fleet.stats().running >= 20)
    served.process.kill()
    wait_until(lambda: fleet.stats().engines == ())
    wait_until(lambda: len(served.told("supervisor_gone")) == 2)  # its log may be a moment late
    done = fleet.stats().counters["done"]
    assert done < jobs
    assert fleet.stats().running == 0
    wait_until(lambda: not any(map(is_alive, all_pids(served))))
    Served(fleet).start("--processes", "2")
    all_ran_once_or_for_a_reason(fleet, jobs)


def test_sighup_under_load_replaces_all_without_a_gap_and_hurts_no_job(served: Served) -> None:
    fleet, jobs = served.fleet, 600
    served.start("--processes", "2")
    served.until_ready(1, 2)
    fleet.enqueue(jobs, fields=', "wait": 0.3')
    wait_until(lambda: fleet.stats().running >= 20)
    served.process.send_signal(signal.SIGHUP)
    fewest = 2

    def are_replaced() -> bool:
        nonlocal fewest, jobs
        stats = fleet.stats()
        fewest = min(fewest, len(stats.engines))
        if stats.queues["low"].ready < 200:  # it takes as long as it takes
            fleet.enqueue(200, fields=', "wait": 0.3')
            jobs += 200
        return sorted(served.pids()) == [3, 4]

    wait_until(are_replaced)
    assert fewest == 2
    assert fleet.stats().counters["done"] < jobs, "there was load"
    all_ran_once_or_for_a_reason(fleet, jobs)
    assert len(fleet.runs()) == jobs
    assert served.stop() == 0


def test_sighup_of_a_person_replaces_and_of_a_terminal_that_is_gone_drains(served: Served) -> None:
    ours, its = os.openpty()
    served.start("--processes", "2", stdin=its)
    os.close(its)
    served.until_ready(1, 2)
    served.process.send_signal(signal.SIGHUP)
    served.until_ready(3, 4)
    os.close(ours)
    assert served.process.wait(timeout=PATIENCE_S) == 0
    assert served.told("child_ended_by_itself") == []


def test_replacing_those_that_have_run_enough_hurts_no_job(served: Served) -> None:
    fleet, jobs = served.fleet, 900
    served.start("--processes", "2", more="[serve]\nmax_jobs = 150\n")
    served.until_ready(1, 2)  # else the first has done it all before the second is there
    fleet.enqueue(jobs, fields=', "wait": 0.2')
    all_ran_once_or_for_a_reason(fleet, jobs)
    assert len(fleet.runs()) == jobs
    wait_until(lambda: len(served.told("child_draining")) >= 2)
    assert "jobs" in served.told("child_draining")[0]["why"]
    assert served.told("child_ended_by_itself") == []
    assert served.stop() == 0


def test_a_process_that_always_ends_is_the_end_of_all_in_time(served: Served) -> None:
    (served.fleet.directory / "fleet_app.py").write_text("import os\nos._exit(7)\n")
    served.start("--processes", "2")
    assert served.process.wait(timeout=PATIENCE_S) == 1
    assert [line["exit"] for line in served.told("child_ended_by_itself")] == [7] * 5
    assert len(served.told("children_keep_ending")) == 1


def test_an_app_that_cannot_be_imported_is_told_once(served: Served) -> None:
    (served.fleet.directory / "fleet_app.py").write_text("import nothing_of_the_kind\n")
    served.start("--processes", "3")
    assert served.process.wait(timeout=PATIENCE_S) == 2
    text = served.log.read_text()
    assert text.count("trioq: app: can't import 'fleet_app'") == 1
    assert len(served.told("child_started")) == 1


def test_an_app_that_is_broken_by_a_deployment_leaves_the_old_ones_at_work(
    served: Served,
) -> None:
    fleet = served.fleet
    served.start("--processes", "2")
    served.until_ready(1, 2)
    app = fleet.directory / "fleet_app.py"
    app.write_text("import nothing_of_the_kind\n")
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: served.told("child_not_replaced"))
    fleet.enqueue(50)
    all_ran_once_or_for_a_reason(fleet, 50)
    assert sorted(served.pids()) == [1, 2]
    assert served.stop() == 0


def test_drained_by_several_all_is_done_when_they_end(served: Served) -> None:
    fleet = served.fleet
    fleet.enqueue(400, fields=', "wait": 0.2')
    files = fleet.directory / "files"
    files.mkdir()
    for n in range(40):
        (files / f"{n}.txt").write_text("x")
    served.start(
        "--processes", "2", "--drain",
        more='[producer]\nscan_dir = "files"\n[limiter]\nrate = 0\n',
    )  # fmt: skip
    assert served.process.wait(timeout=2 * PATIENCE_S) == 0
    counters = fleet.stats().counters
    assert (counters["enqueued"], counters["done"]) == (440, 440)
    assert len(fleet.runs()) == 400
    scans = {line["process"] for line in served.told("scan_finished")}
    assert scans == {1}, "one of them scans"
    assert served.told("child_ended_by_itself") == []


def test_who_scans_is_replaced_by_one_who_scans_and_no_file_is_a_job_twice(
    served: Served,
) -> None:
    fleet = served.fleet
    files = fleet.directory / "files"
    files.mkdir()
    (files / "1.txt").write_text("x")
    served.start(
        "--processes", "2",
        more='[producer]\nscan_dir = "files"\nscan_interval = "200ms"\n[limiter]\nrate = 0\n',
    )  # fmt: skip
    served.until_ready(1, 2)
    fleet.wait_done(1)
    served.kill_child(1)
    served.until_ready(2, 3)
    (files / "2.txt").write_text("x")
    fleet.wait_done(2)
    wait_until(lambda: any(line["process"] == 3 for line in served.told("scan_finished")))
    assert fleet.stats().counters["enqueued"] == 2
    assert served.stop() == 0


# -- what is told of them ----------------------------------------------------------------------


def ask(address: str, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{page}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def completed(address: str) -> float:
    text = ask(address, "/metrics")[1]
    return sum(map(float, re.findall(r"^trioq_jobs_completed_total\{.*\} (\S+)$", text, re.M)))


def test_one_page_tells_of_all_and_no_counter_goes_back(served: Served) -> None:
    fleet = served.fleet
    served.start("--processes", "2", more='bind = "127.0.0.1:0"\n')
    served.until_ready(1, 2)
    address = wait_until(lambda: served.told("http_served"))[0]["address"]
    assert ask(address, "/healthz")[0] == 200
    wait_until(lambda: ask(address, "/readyz")[0] == 200)
    status, text = ask(address, "/readyz")
    told = json.loads(text)
    assert (status, told["ready"], told["wanted"], sorted(told["processes"])) == (
        200, True, 2, ["1", "2"],
    )  # fmt: skip
    assert {c["pid"] for c in told["processes"].values()} == set(served.pids().values())
    assert {engine.info.http for engine in fleet.stats().engines} == {address}

    fleet.enqueue(300, fields=', "wait": 0.01')
    fleet.wait_done(300)
    wait_until(lambda: completed(address) == 300)
    served.kill_child(1)
    assert wait_until(lambda: ask(address, "/readyz")[0] == 503)
    served.until_ready(2, 3)
    assert completed(address) == 300
    served.process.send_signal(signal.SIGHUP)
    served.until_ready(4, 5)
    assert completed(address) == 300
    text = ask(address, "/metrics")[1]
    assert re.findall(r'^trioq_workers\{process="(\d+)"\} 16.0$', text, re.M) == ["4", "5"]
    assert served.stop() == 0


def test_engines_and_their_lines_say_which_process_they_are(served: Served) -> None:
    served.start("--processes", "2")
    served.until_ready(1, 2)
    name = served.told("supervisor_started")[0]["supervisor"]
    told = {e.info.process: (e.info.supervisor, e.info.pid) for e in served.fleet.stats().engines}
    assert told == {number: (name, pid) for number, pid in served.pids().items()}
    wait_until(  # its log may be a moment late
        lambda: sorted(line["process"] for line in served.told("engine_started")) == [1, 2]
    )
    assert served.stop() == 0


def test_more_and_fewer_are_had_by_a_command_and_by_signals(served: Served) -> None:
    fleet = served.fleet
    served.start("--processes", "2")
    served.until_ready(1, 2)

    def scale(count: int, *options: str) -> subprocess.CompletedProcess[str]:
        return trioq("scale", fleet.config, str(count), *options, cwd=fleet.directory)

    told = scale(3)
    assert (told.returncode, told.stdout) == (0, "3 processes are wanted; there were 2\n")
    served.until_ready(1, 2, 3)
    assert json.loads(scale(1, "--json").stdout) == {"were": 3, "processes": 1}
    served.until_ready(1)
    served.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: len(served.told("scaled")) == 3)
    served.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: len(served.told("scaled")) == 4)
    assert [line["processes"] for line in served.told("scaled")] == [3, 1, 1, 2]
    served.until_ready(1, 4)

    other = Served(fleet).start("--processes", "2")
    other.until_ready(1, 2)
    refused = scale(4)
    assert refused.returncode == 1
    assert "say which with --pid" in refused.stderr
    assert scale(3, "--pid", str(other.process.pid)).returncode == 0
    other.until_ready(1, 2, 3)
    assert sorted(served.pids()) == [1, 4]
    assert (served.stop(), other.stop()) == (0, 0)
    nobody = scale(2)
    assert nobody.returncode == 1
    assert "no `trioq serve` with several processes runs" in nobody.stderr


def test_systemd_is_told_when_all_are_ready_that_it_lives_and_when_it_ends(
    served: Served, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)

        def until(word: str) -> list[str]:
            heard: list[str] = []
            while not heard or word not in heard[-1]:
                heard.append(systemd.recv(1000).decode())
            return heard

        served.start(
            "--processes", "2", NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000"
        )
        heard = until("READY=1")
        served.until_ready(1, 2)  # its log may be a moment late
        assert "STATUS=1 of 2 engines ready" in heard
        assert "WATCHDOG=1" in heard
        served.process.send_signal(signal.SIGHUP)
        until("RELOADING=1")
        until("READY=1")
        served.until_ready(3, 4)
        assert served.stop() == 0
        until("STOPPING=1")


def test_the_embedded_server_survives_all_children(tmp_path: Path, own_server: Server) -> None:
    fleet = Fleet(own_server, tmp_path)
    text = fleet.config.read_text().replace(f'url = "{own_server.url}"', 'url = "embedded:data"')
    fleet.config.write_text(text)
    served = Served(fleet).start("--processes", "2")
    try:
        served.until_ready(1, 2)
        server = server_pids(tmp_path / "data")
        assert len(server) == 1
        told = trioq("enqueue", fleet.config, "work", '{"n": 1, "wait": 3}', cwd=tmp_path)
        assert told.returncode == 0
        wait_until(fleet.runs)
        served.kill_child(1)
        served.kill_child(2)
        served.until_ready(3, 4)
        assert server_pids(tmp_path / "data") == server
        wait_until(lambda: any(run.ended_s for run in fleet.runs()))
        assert fleet.unexplained() == []
        assert served.stop() == 0
        wait_until(lambda: not server_pids(tmp_path / "data"))
    finally:
        served.process.kill()
        served.process.wait()


def server_pids(directory: Path) -> list[int]:
    """The server processes that run there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                is_there = (entry / "cwd").readlink() == directory
                name = (entry / "comm").read_text()
            except OSError:
                continue
            if is_there and "-server" in name:
                found.append(int(entry.name))
    return found
