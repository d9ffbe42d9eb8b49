"""What the answer to each request looks like: checked before anything else sees it.

Between us and the server may be a proxy, and its address may have become somebody else's. An
answer that can't be one is taken for no answer: the connection is given up and the request is
made again on a new one, as if it had been cut. Shapes know types, numbers of items and words;
what lies in the keys is for whoever decodes it, because it is the same on every connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import attrs

from trioq.core.calls import EndWord

#: What an answer may have at most, where nothing else is said: several times as much as anything
#: that is read page by page, or at once by its nature, as the infos of all engines.
BYTES_MAX = 64 << 20

#: A script's answer: a step's records may have 1 MiB, and the others are words and uids.
SCRIPT_BYTES_MAX = 16 << 20

#: A single value: as large as the largest payload that can be configured, and a little more.
VALUE_BYTES_MAX = (256 << 20) + 1024

Fits = Callable[[Any, Sequence[Any]], bool]
"""Whether an answer can be one to this command."""


@attrs.frozen
class Shape:
    """The answers that a request can have, besides errors."""

    fits: Fits
    bytes_max: int = BYTES_MAX


# -- one item -----------------------------------------------------------------------------------

Item = Callable[[Any], bool]

_BYTES = frozenset({bytes})
END_WORDS = frozenset(word.encode() for word in get_args(EndWord))
_BYTES_OR_NONE = frozenset({bytes, type(None)})


def number(item: Any) -> bool:
    return type(item) is int


def text(item: Any) -> bool:
    return type(item) is bytes


def digits(item: Any) -> bool:
    """A number as Redis keeps it; of that length, none is too large for anybody."""
    return type(item) is bytes and item.isdigit() and len(item) <= 18


def texts(item: Any) -> bool:
    return type(item) is list and _BYTES.issuperset(map(type, item))


def values(item: Any) -> bool:
    """What is kept under several names: absent ones are null."""
    return type(item) is list and _BYTES_OR_NONE.issuperset(map(type, item))


def optional(other: Item) -> Item:
    return lambda item: item is None or other(item)


def either(one: Item, other: Item) -> Item:
    return lambda item: one(item) or other(item)


def one_of(*words: bytes) -> Item:
    return lambda item: type(item) is bytes and item in words


def like(pattern: bytes) -> Item:
    matches = re.compile(pattern).fullmatch
    return lambda item: type(item) is bytes and matches(item) is not None


def ends(item: Any) -> bool:
    """Words for how jobs ended."""
    return texts(item) and END_WORDS.issuperset(item)


def breakers(item: Any) -> bool:
    """Of each a word for its state, and five counts."""
    return type(item) is list and all(
        type(each) is list
        and len(each) == 6
        and each[0] in (b"closed", b"open", b"half_open")
        and all(map(number, each[1:]))
        for each in item
    )


def _asks(item: Any) -> bool:
    """A count; then uid, step and summary of each."""
    return texts(item) and len(item) % 3 == 1 and digits(item[0])


#: How many, and the uids of those that were refused.
_REVIVED = like(rb"\d{1,18}(?: [^ ]+)*")
_TIMES = like(rb"\d{1,18} (?:-|\d{1,18})")


def _unlisted(item: Any) -> bool:
    """Names; of each since when, and since when it is retired."""
    return texts(item) and len(item) % 2 == 0 and all(map(_TIMES, item[1::2]))


# -- scripts ------------------------------------------------------------------------------------

_CANCELLED = like(rb"(?:(?:cancelled|asked|dead|unknown)(?: |\Z))*")
_ENQUEUED = like(rb"\d{1,9}(?: \d{1,9} [^ ]*:[^ ]*)*|(?:full|wait) [^ ]+ \d{1,15} \d{1,15}")
_REPLACED = like(rb"replaced( \S+)?|moved|dead|differs|running \d{1,15} [^ ].*")
_STAYS = like(rb"moved|alive [^ ]+")
_CLAIMS = (
    text, texts, values, values, texts, number, number, number, text, optional(texts),
    optional(_asks), values, optional(texts), values, like(rb"[-fl]*"), texts, texts,
)  # fmt: skip

#: Script → first word → what follows. The same words stand under REPLY in the script's header.
SCRIPTS: Mapping[str, Mapping[bytes, Sequence[Item]]] = {
    "beat": {b"ok": (number, text, digits), b"gone": ()},
    "breakers": {b"ok": (breakers,)},
    "cancel": {b"ok": (_CANCELLED,), b"again": (_CANCELLED,), b"old": (), b"look again": ()},
    "declare_limits": {b"ok": (texts,), b"gone": ()},
    "enqueue": {
        b"ok": (_ENQUEUED, digits),
        b"full": (_ENQUEUED,),
        b"wait": (_ENQUEUED,),
        b"stays": (_STAYS,),
        b"again": (either(_ENQUEUED, _STAYS),),
        b"old": (),
    },
    "expire_parked": {b"ok": (texts,)},
    "forget_queues": {b"ok": ()},
    "list_schedules": {
        b"ok": (_unlisted, texts),
        b"rows": (_unlisted,),
        b"older": (_unlisted,),
        b"gone": (),
    },
    "note": {b"ok": (texts,)},
    "note_files": {b"ok": (number,)},
    "hasten": {b"ok": (number,), b"again": (digits,), b"old": ()},
    "pause": {b"ok": (number,), b"again": (digits,), b"old": (), b"look again": (texts,)},
    "purge": {b"ok": (number,), b"again": (digits,), b"old": ()},
    "purge_dead": {b"ok": (number,), b"again": (digits,), b"old": ()},
    "reap": {
        b"reaped": (number, texts, texts, texts),
        b"alive": (),
        b"gone": (),
        b"look again": (texts,),
    },
    "register": {b"ok": (), b"again": ()},
    "replace": {b"ok": (_REPLACED,), b"again": (_REPLACED,), b"old": (), b"look again": ()},
    "reset_breaker": {b"ok": (number,), b"again": (digits,), b"old": ()},
    "revive": {b"ok": (_REVIVED,), b"again": (_REVIVED,), b"old": ()},
    "step_aside": {b"ok": ()},
    "ring_bells": {b"ok": ()},
    "schedule": {b"ok": (number,), b"again": (digits,), b"old": ()},
    "set_limits": {b"ok": (texts, texts)},
    "sign_off": {b"ok": (number, texts), b"gone": (), b"look again": (texts,)},
    "wait_for": {b"ok": (ends, texts)},
    "step": {b"ok": _CLAIMS, b"again": _CLAIMS, b"changed": (), b"old": (), b"gone": ()},
}


def _of_script(words: Mapping[bytes, Sequence[Item]]) -> Shape:
    def fits(answer: Any, command: Sequence[Any]) -> bool:
        if type(answer) is not list or not answer or type(answer[0]) is not bytes:
            return False
        items = words.get(answer[0])
        if items is None or len(answer) != 1 + len(items):
            return False
        for item, it in zip(items, answer[1:], strict=True):  # noqa: SIM110 - all(…) is dear
            if not item(it):
                return False
        return True

    return Shape(fits, SCRIPT_BYTES_MAX)


def _of_step(words: Mapping[bytes, Sequence[Item]]) -> Shape:
    """And its lists are one list of claims; attempts are left out where nobody has failed."""
    shape = _of_script(words)

    def fits(answer: Any, command: Sequence[Any]) -> bool:
        if not shape.fits(answer, command):
            return False
        if len(answer) == 1:
            return True
        _, _, uids, records, attempts, suspects, *_, notes, _, takes, waits, behind, _ = answer
        return (
            len(uids) == len(records)
            and len(attempts) in (0, len(uids))
            and len(notes) in (0, len(uids))
            and len(takes) in (0, len(uids))
            and len(waits) in (0, len(uids))
            and len(behind) % 2 == 0
            and not (behind and set(behind[::2]) - set(uids))
            and not (suspects and set(suspects) - set(uids))
        )

    return Shape(fits, SCRIPT_BYTES_MAX)


_SHAPES = {
    name: (_of_step if name == "step" else _of_script)(words) for name, words in SCRIPTS.items()
}


def of_script(name: str) -> Shape:
    """What this script answers."""
    return _SHAPES[name]


# -- commands -----------------------------------------------------------------------------------


def _plain(item: Item, bytes_max: int = BYTES_MAX) -> Shape:
    return Shape(lambda answer, command: item(answer), bytes_max)


def _pairs(answer: Any, command: Sequence[Any]) -> bool:
    return texts(answer) and len(answer) % 2 == 0


def _for_each_name(answer: Any, command: Sequence[Any]) -> bool:
    return values(answer) and len(answer) == len(command) - 2


def for_each_name(bytes_max: int, count: int) -> Shape:
    """So many values, which have no more bytes together; each has its length before it."""
    return Shape(_for_each_name, bytes_max + 32 * (count + 1))


def _range(answer: Any, command: Sequence[Any]) -> bool:
    return texts(answer) and ("WITHSCORES" not in command or len(answer) % 2 == 0)


def _time(answer: Any, command: Sequence[Any]) -> bool:
    return type(answer) is list and len(answer) == 2 and all(map(digits, answer))


def _popped(answer: Any, command: Sequence[Any]) -> bool:
    return answer is None or (texts(answer) and len(answer) == 2)


def _page(answer: Any, command: Sequence[Any]) -> bool:
    return type(answer) is list and len(answer) == 2 and digits(answer[0]) and texts(answer[1])


def _fields_page(answer: Any, command: Sequence[Any]) -> bool:
    return _page(answer, command) and len(answer[1]) % 2 == 0


def _settings(answer: Any, command: Sequence[Any]) -> bool:
    return _pairs(answer, command) if command[1] == "GET" else answer == b"OK"


OK = _plain(one_of(b"OK"))
PAGE = Shape(_page)
QUEUED = _plain(one_of(b"QUEUED"))
TEXTS = _plain(texts)
_VALUE = _plain(optional(text), VALUE_BYTES_MAX)
COUNT = _plain(number)

#: On a connection that has subscribed to a channel: that it has, and what is said there.
MESSAGE_BYTES_MAX = 1 << 16
_MESSAGES = {b"subscribe": (text, number), b"message": (text, text)}


def _message(answer: Any, command: Sequence[Any]) -> bool:
    if type(answer) is not list or len(answer) != 3 or not text(answer[0]):
        return False
    items = _MESSAGES.get(answer[0], ())
    return len(items) == 2 and all(item(it) for item, it in zip(items, answer[1:], strict=True))


MESSAGE = Shape(_message, MESSAGE_BYTES_MAX)

COMMANDS: Mapping[str, Shape] = {
    **dict.fromkeys(("GET", "GETEX", "HGET"), _VALUE),
    **dict.fromkeys(("HKEYS", "HVALS", "LRANGE", "SMEMBERS"), TEXTS),
    **dict.fromkeys(("HMGET", "ZMSCORE"), Shape(_for_each_name)),
    **dict.fromkeys(("DBSIZE", "PTTL", "UNLINK"), COUNT),
    **dict.fromkeys(("HEXISTS", "HLEN", "HSTRLEN", "LLEN", "SCARD", "ZCARD", "ZCOUNT"), COUNT),
    "ZLEXCOUNT": COUNT,
    "ZRANGEBYLEX": TEXTS,
    "SISMEMBER": COUNT,
    "BLPOP": Shape(_popped),
    "CONFIG": Shape(_settings),
    "HGETALL": Shape(_pairs),
    "HSCAN": Shape(_fields_page),
    "INFO": _plain(text),
    "LPOS": _plain(optional(number)),
    "MEMORY": _plain(optional(number)),
    "MULTI": OK,
    "SCAN": PAGE,
    "SETRANGE": COUNT,
    "SET": _plain(optional(one_of(b"OK"))),
    "TIME": Shape(_time),
    "TYPE": _plain(text),
    "ZRANGE": Shape(_range),
    "ZRANGEBYSCORE": Shape(_range),
    "ZSCORE": _plain(optional(text)),
}

#: Of what isn't in the table, anything can be the answer, as far as it is bounded.
ANYTHING = Shape(lambda answer, command: True)


def of_command(command: Sequence[Any]) -> Shape:
    """What this command answers."""
    return COMMANDS.get(command[0], ANYTHING)


def of_transaction(commands: Sequence[Sequence[Any]], is_error: Item) -> Shape:
    """What EXEC answers to these commands: errors may be among the answers."""
    shapes = [of_command(command) for command in commands]

    def fits(answer: Any, command: Sequence[Any]) -> bool:
        return (
            type(answer) is list
            and len(answer) == len(commands)
            and all(
                is_error(its) or shape.fits(its, asked)
                for its, shape, asked in zip(answer, shapes, commands, strict=True)
            )
        )

    return Shape(fits)


def described(answer: Any) -> str:
    """What an answer is, without what is in it: that may be anybody's."""
    if answer is None:
        return "null"
    if type(answer) is bytes:
        return f"{len(answer):,} bytes"
    if type(answer) is list:
        return f"a list of {len(answer):,}"
    return {int: "a number"}.get(type(answer), f"a {type(answer).__name__}")
