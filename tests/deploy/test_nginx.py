"""A real nginx before a real page; only where it is installed."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import write_config
from tests.cli.test_web import shown
from tests.support import PATIENCE_S, Server, wait_until
from trioq.web.who.passwords import hash_password

pytestmark = pytest.mark.needs("nginx")

SITE = Path(__file__).parents[2] / "deploy" / "nginx" / "trioq.conf"

MAIN = """
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""


@pytest.fixture
def before(server: Server, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx before a page with a user."""
    config = write_config(tmp_path, server)
    user = f'[web.users.ada]\nrole = "admin"\npassword = "{hash_password("a horse")}"\n'
    config.write_text(f'{config.read_text()}\n[web]\nproxies = ["127.0.0.1"]\n{user}')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with shown(config) as (url, _):
        address = url.removeprefix("http://").rstrip("/")
        site = SITE.read_text().replace("web:9180", address)
        site = site.replace("    listen 80;", f"    listen 127.0.0.1:{port};")
        (tmp_path / "site.conf").write_text(site)
        (tmp_path / "nginx.conf").write_text(MAIN.format(directory=tmp_path))
        nginx = subprocess.Popen(
            ["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _listens(port))
            yield port
        finally:
            nginx.terminate()
            nginx.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_one_logs_in_through_it_and_events_come_as_they_are(before: int) -> None:
    origin = f"http://127.0.0.1:{before}"
    with httpx.Client(base_url=origin, timeout=PATIENCE_S) as browser:
        assert browser.get("/queues").headers["location"] == "/login?next=%2Fqueues"
        lies = {"origin": origin, "x-forwarded-proto": "https", "x-forwarded-user": "eve"}
        form = {"name": "ada", "password": "a horse", "next": "/queues"}
        begun = browser.post("/login", data=form, headers=lies)
        assert (begun.status_code, begun.headers["location"]) == (303, "/queues")
        assert "secure" not in begun.headers["set-cookie"].lower(), "it came by no TLS"
        page = browser.get("/queues")
        assert page.status_code == 200
        [path] = re.findall(r'data-stream="(.+?)"', page.text)
        with browser.stream("GET", path) as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            assert next(events.iter_lines()), "while the answer goes on"
