"""Requests to an API: what is sent again and what isn't, and what is told where it goes wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import attrs
import pytest

from trioq.client.remote.http import ApiError, Http, at

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@attrs.define
class Peer:
    """Answers so many requests on each connection, and hangs up."""

    answers: list[bytes]
    """On each connection the next one of these, or nothing."""
    seen: list[bytes] = attrs.field(factory=list[bytes])
    """The first line of each request."""

    def serve(self, listener: socket.socket) -> None:
        for answer in self.answers:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as file:
                while line := file.readline():
                    self.seen.append(line.strip())
                    self._rest(file)
                    if not answer:
                        break
                    connection.sendall(answer)
                    if len(self.seen) == 1:
                        break  # hangs up after the first

    def _rest(self, file: object) -> None:
        length = 0
        while (line := file.readline().strip()) != b"":  # type: ignore[attr-defined]
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        file.read(length)  # type: ignore[attr-defined]


@contextmanager
def peer(*answers: bytes) -> Iterator[tuple[Peer, Http]]:
    made = Peer([*answers])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=made.serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        with closing(Http(f"http://127.0.0.1:{port}", timeout_s=10)) as http:
            yield made, http
        thread.join(10)


def test_a_question_on_a_connection_that_was_closed_is_asked_again() -> None:
    with peer(ANSWER, ANSWER) as (made, http):
        assert http.get("/stats") == {}
        assert http.get("/stats") == {}
    assert made.seen == [b"GET /api/v1/stats HTTP/1.1"] * 2


def test_what_changes_something_is_sent_once_and_may_have_been_done() -> None:
    """The server may have done it and died before it answered."""
    with peer(ANSWER, b"") as (made, http):
        http.get("/stats")
        with pytest.raises(ApiError, match="it may have been done"):
            http.do("queues.purge", queue="low")
        assert len(made.seen) == 1
        http.close()
        with pytest.raises(ApiError, match="it may have been done"):
            http.do("queues.purge", queue="low")
    assert len(made.seen) == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhtml", "is no API of trioq: it answers 200"),
        (b"HTTP/1.1 303 See Other\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n", "answers 303"),
        (b"rubbish\r\n\r\n", "can't be reached"),
    ],
)
def test_what_isnt_an_answer_of_ours_is_told(answer: bytes, says: str) -> None:
    with peer(answer) as (_, http), pytest.raises(ApiError, match=says):
        http.get("/stats")


@pytest.mark.parametrize(
    "url",
    [
        "redis://x",
        "http://",
        "https://x:y",
        "http://me:secret@x",
        "http://me:secret@x:y",
        "http://x?token=1",
        "http://x#a",
    ],
)
def test_what_is_no_url_of_an_api_is_refused_without_telling_a_secret(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        Http(url)
    assert "secret" not in str(caught.value)


def test_a_path_says_ids_as_they_are() -> None:
    assert at("jobs", "a/b c?#\udcff", "explain") == "/jobs/a%2Fb%20c%3F%23%FF/explain"


def test_a_token_that_none_is_isnt_sent() -> None:
    with pytest.raises(ApiError, match="no token has"):
        Http("http://x", "a\r\nhost: y")
