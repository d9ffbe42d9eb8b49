"""Redis's protocol (RESP 2) as far as a proxy needs it: where a value ends, what is asked."""

from __future__ import annotations

import attrs

from trioq.store.scripts import all_scripts

_BY_SHA = {script.sha.encode(): script.name for script in all_scripts()}
_BY_TEXT = {script.text.encode(): script.name for script in all_scripts()}

SCRIPTS = frozenset(_BY_SHA.values())


def end_of(data: bytes | bytearray, at: int = 0) -> int | None:
    """Where the value that begins at ``at`` ends; None: not all of it is there yet."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, head, end = data[at : at + 1], data[at + 1 : line_end], line_end + 2
    if kind in b"+-:":
        return end
    length = int(head)
    if kind == b"$":
        end += length + 2 if length >= 0 else 0
        return end if end <= len(data) else None
    assert kind == b"*", f"not RESP 2: {bytes(data[at : at + 40])!r}"
    for _ in range(length):
        inner = end_of(data, end)
        if inner is None:
            return None
        end = inner
    return end


@attrs.define
class Frames:
    """Cuts a stream of bytes into whole values."""

    _rest: bytearray = attrs.field(factory=bytearray)

    def feed(self, data: bytes) -> list[bytes]:
        """The values that are whole now."""
        self._rest += data
        whole: list[bytes] = []
        while self._rest and (end := end_of(self._rest)) is not None:
            whole.append(bytes(self._rest[:end]))
            del self._rest[:end]
        return whole


def arguments(frame: bytes) -> list[bytes]:
    """The words of a request."""
    at = frame.index(b"\r\n") + 2
    words = []
    while at < len(frame):
        line_end = frame.index(b"\r\n", at)
        end = line_end + 2 + int(frame[at + 1 : line_end])
        words.append(frame[line_end + 2 : end])
        at = end + 2
    return words


def framed(words: list[bytes]) -> bytes:
    """A request of these words."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def name_of(words: list[bytes]) -> str:
    """What a request asks for: a script by its name, or a command in lower case."""
    command = words[0].upper()
    if command == b"EVALSHA":
        return _BY_SHA.get(words[1], "evalsha")
    if command == b"EVAL":
        return _BY_TEXT.get(words[1], "eval")
    return command.decode().lower()
