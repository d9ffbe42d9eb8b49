"""What is asked of a server before an engine works with it, and errors put in plain words."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import NoReturn

import attrs

from trioq.errors import StoreBusy, StoreError, StoreRefused, StoreUnreachable
from trioq.store.answers import no_descriptors
from trioq.store.keys import CATALOGUE, Keys, bench_namespace
from trioq.store.redis import RedisStore
from trioq.store.replies import TEXTS
from trioq.store.scripts import all_scripts

#: The first versions with script flags, which keep a full server drainable.
NEEDED = {"redis": (7, 0, 0), "valkey": (7, 2, 0)}

#: What trioq sends itself, besides what its scripts call. ``%`` stands for any key.
CONNECTING = ("CLIENT SETNAME trioq", "SELECT 0")

#: To have a step answered that waits for a bell; without them that takes a new connection.
WAKING = ("CLIENT ID", "CLIENT UNBLOCK 1")

#: To tell who waits for the end of a job, and to be told.
TELLING = frozenset({"PUBLISH", "SUBSCRIBE"})
REQUIRED = ("EVAL 0 1 %", "EVALSHA 0 1 %", "EXEC", "MULTI", "TIME")
REQUIRED_ON_KEYS = frozenset(
    {"BLPOP", "GETEX", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HMGET", "HSTRLEN", "HVALS", "LLEN"}
    | {"LRANGE", "SCARD", "SMEMBERS", "ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZRANGE", "ZRANGEBYLEX"}
    | {"ZSCORE"}
)

#: To cancel jobs by their handler's name or their queue, wherever they are; and to say how many
#: come before one.
LOOKING = ("HSCAN % 0", "LPOS % 1")
INFO = "INFO"
CONFIG_GET = "CONFIG GET appendfsync"

#: What only operators do: ask how large keys are and which there are, clear up after a benchmark.
OPERATORS = (CONFIG_GET, "DBSIZE", "MEMORY USAGE %", "PTTL %", "SCAN 0", "TYPE %", "UNLINK %")

#: Asks, without doing or logging anything, which commands the user may not run on this key, and,
#: with a ``?``, which the server doesn't know: it may call them something else.
#: It may write, so that the server refuses it wherever it would refuse the scripts.
PROBE = """#!lua flags=allow-oom
local missing = {}
for _, asked in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(asked, "%S+") do
    words[#words + 1] = word == "%" and KEYS[1] or word
  end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not known then
    missing[#missing + 1] = "?" .. asked
  elseif not allowed then
    missing[#missing + 1] = asked
  end
end
return missing
"""

#: How a command is missed that the user can't be given.
LACKS = "the server has no"
RENAMED = "its configuration renames it, or whoever runs it leaves it out"


@attrs.frozen
class ServerFacts:
    """What a start-up log says of the server."""

    kind: str
    """``redis`` or ``valkey``; empty where the user may not ask."""
    version: tuple[int, ...]
    durability: str
    """What a crash of the server can cost."""


def called_by_scripts() -> frozenset[str]:
    """The commands in ``lua/``. All scripts are put together for it, before one is waited for."""
    return frozenset().union(*(script.commands for script in all_scripts()))


def required() -> list[str]:
    """Every command that the user must be allowed, as the probe asks for it."""
    on_keys = sorted(REQUIRED_ON_KEYS | called_by_scripts() - {"TIME"})
    # As many keys as any of them takes: what isn't a key isn't looked at.
    return [*REQUIRED, *(f"{name} % % %" for name in on_keys)]


def minimal_acl(namespace: str, *, operator: bool = False) -> list[str]:
    """The rules of a user that may do what trioq needs in this namespace, and nothing else.

    For ``ACL SETUSER name on >password …``. INFO isn't needed, but without it neither a
    replica's primary nor a wrong ``maxmemory-policy`` is noticed at the start.

    Args:
      operator: With what ``trioq doctor`` and ``trioq stats --keys`` ask besides, and with the
          namespaces of ``trioq bench``.
    """
    more = OPERATORS if operator else ()
    namespaces = [namespace, bench_namespace(namespace, "*")] if operator else [namespace]
    patterns = [f"~{{{name}}}:*" for name in namespaces]
    patterns += [f"&{{{name}}}:ends:*" for name in namespaces]
    asked = (*CONNECTING, *WAKING, *TELLING, *LOOKING, *required(), INFO, *more)
    allowed = sorted(set(map(_rule, asked)))
    return ["resetkeys", "resetchannels", "-@all", *patterns, *allowed]


def check_server(store: RedisStore, *, has_keeper: bool = False) -> ServerFacts:
    """Look at the server before working with it. Changes nothing.

    Args:
      has_keeper: Whether it is an embedded one, whose keeper syncs its file.

    Raises:
      StoreUnreachable, StoreBusy: It doesn't answer, or not now.
      StoreRefused: It can't be used as it is; the message says what to do.
    """
    optional = (INFO, CONFIG_GET)
    try:
        denied, unknown = _probe(store, [*required(), *optional])
    except (StoreRefused, StoreBusy) as error:
        _refuse(store, error)
    info = {} if INFO in denied | unknown else server_info(store)
    kind, version = _version(info)
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreRefused(
            f"the server's maxmemory-policy is {policy}, so it would throw jobs away:"
            " CONFIG SET maxmemory-policy noeviction, and set it in the server's configuration"
        )
    if names := sorted(asked.split()[0] for asked in unknown.difference(optional)):
        raise StoreRefused(f"{LACKS} {', '.join(names)}, which trioq needs: {RENAMED}")
    if lacking := sorted(map(_rule, denied.difference(optional))):
        raise StoreRefused(f"the user lacks permissions: ACL SETUSER … {' '.join(lacking)}")
    if not info:
        why = "the user may not ask" if INFO in denied else f"{LACKS} INFO"
        return ServerFacts(kind, version, f"unknown, like the server's version: {why}")
    config = {} if CONFIG_GET in denied | unknown else _config(store)
    return ServerFacts(kind, version, _durability(info, config, has_keeper=has_keeper))


def _probe(store: RedisStore, asked: list[str]) -> tuple[set[str], set[str]]:
    """Those of the commands that the user may not run, and those that the server doesn't have."""
    keys = _sample_keys(store.keys)
    told = store.lane.call("EVAL", PROBE, len(keys), *keys, *asked, shape=TEXTS)
    missing = {name.decode() for name in told}
    unknown = {name for name in missing if name.startswith("?")}
    return missing - unknown, {name.removeprefix("?") for name in unknown}


def _sample_keys(keys: Keys) -> list[str]:
    """One key of each kind: to run a script, a user needs every key that it names."""
    return [f"{{{keys.tag}}}:{re.sub('<.*?>', 'any', doc.name)}" for doc in CATALOGUE]


def _refuse(store: RedisStore, error: StoreRefused | StoreBusy) -> NoReturn:
    """Say why a server or a user can't run scripts."""
    text = str(error)
    if text.startswith("NOPERM") and "'eval'" in text:
        rules = " ".join(minimal_acl(store.keys.namespace))
        raise StoreRefused(
            f"the user may not run scripts: ACL SETUSER … +eval; all that is needed: {rules}"
        ) from error
    if text.startswith("NOPERM") and "key" in text:
        raise StoreRefused(
            "the user may not use all keys of the namespace:"
            f" ACL SETUSER … ~{{{store.keys.namespace}}}:*"
        ) from error
    if text.startswith("MOVED"):
        raise StoreRefused(
            "the server is one node of a cluster, and another one has this namespace:"
            f" connect to {text.rsplit(maxsplit=1)[-1]} (trioq doesn't follow a cluster by itself)"
        ) from error
    if text.startswith("READONLY"):
        info = _info_if_allowed(store)
        primary = f", {info['master_host']}:{info['master_port']}" if "master_host" in info else ""
        raise StoreRefused(
            f"the server is a read-only replica: connect to its primary{primary}"
        ) from error
    if re.match("Error compiling script|unknown command", text, re.IGNORECASE):
        _version(_info_if_allowed(store))
        raise StoreRefused(f"the server can't run trioq's scripts: {text}") from error
    raise error


def not_to_be_asked(error: StoreError) -> bool:
    """Whether the server or the user lacks a command, and everything else can be looked at."""
    return re.match(r"NOPERM|(ERR )?unknown command", str(error), re.IGNORECASE) is not None


def _info_if_allowed(store: RedisStore) -> dict[str, str]:
    try:
        return server_info(store)
    except StoreRefused:
        return {}


def server_info(store: RedisStore) -> dict[str, str]:
    text: str = store.lane.call("INFO").decode("utf-8", "replace")
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _config(store: RedisStore) -> dict[str, str]:
    flat = store.lane.call("CONFIG", "GET", "appendfsync", "save")
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _version(info: dict[str, str]) -> tuple[str, tuple[int, ...]]:
    """Which server it is; empty where it doesn't say."""
    if "redis_version" not in info and "valkey_version" not in info:
        return "", ()
    kind = "valkey" if "valkey_version" in info else "redis"
    told = info[f"{kind}_version"]
    version = tuple(int(part) for part in re.findall(r"\d+", told)[:3])
    if version < NEEDED[kind]:
        needed = ".".join(map(str, NEEDED[kind][:2]))
        raise StoreRefused(f"the server is {kind} {told}; trioq needs {kind} {needed} or newer")
    return kind, version


def _durability(info: dict[str, str], config: dict[str, str], *, has_keeper: bool) -> str:
    if info.get("aof_enabled") == "1":
        policy = config.get("appendfsync", "unknown")
        if has_keeper and policy == "no":
            return (
                "append-only file, synced every second by the server's keeper: a crash of the"
                " machine loses up to two seconds, of the server alone nothing that was answered"
            )
        cost = {
            "always": "a crash of the server loses nothing that was answered",
            "everysec": "a crash of the machine loses up to two seconds, and so does one of the"
            " server while its disk is slow",
            "no": "a crash of the machine loses what the system hasn't written, often 30 s",
        }.get(policy, "a crash loses the last writes")
        return f"append-only file, appendfsync {policy}: {cost}"
    if config.get("save"):
        return f"snapshots only (save {config['save']}): a crash loses all since the last one"
    return "no append-only file: a crash of the server loses jobs"


def _rule(asked: str) -> str:
    """``+name``, or ``+name|subcommand`` for commands that have some."""
    name, *rest = asked.lower().split()
    return f"+{name}|{rest[0]}" if name in ("client", "config", "memory") else f"+{name}"


# -- in plain words --------------------------------------------------------------------------

#: What the server says at the beginning of an error, and what to do.
_SAID = {
    "WRONGPASS": "wrong user name or password: set redis.username and redis.password,"
    " or TRIOQ_REDIS__PASSWORD",
    "NOAUTH": "the server wants a password: set redis.password or TRIOQ_REDIS__PASSWORD",
    "AUTH <password> called without": "the server has no password: leave redis.password and"
    " TRIOQ_REDIS__PASSWORD out",
    "DB index is out of range": "the server has no database of this number: change redis.db",
    "MOVED": "another node of the cluster has this namespace now: connect to that one",
    "WRONGTYPE": "something else uses a key of this namespace: choose another namespace",
    "LOADING": "the server is loading its data: try again in a while",
    "READONLY": "the server is a read-only replica: connect to its primary",
    "MISCONF": "the server can't write to its disk and takes no jobs: see its log",
    "OOM": "the server has no memory left (maxmemory): let engines drain it, or give it more",
    "BUSY": "the server is running somebody's long script: try again in a while",
    "CLUSTERDOWN": "the cluster isn't complete: see its nodes' logs",
    "max number of clients": "the server has too many clients (maxclients)",
}


def explain(error: StoreError, description: str) -> str:
    """One line for a person: with which server, what was wrong, and what to do.

    Args:
      description: Where it is; see :class:`~trioq.store.connect.Connector`.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, StoreUnreachable):
        text = _why_unreachable(error, text, is_tls=description.startswith("rediss:"))
    elif unknown := re.search(r"unknown (?:redis )?command '?`?(\w+)?", text, re.I):
        text = f"{LACKS} {unknown[1] or 'such command'}: {RENAMED} ({text})"
    elif denied := re.match(r"NOPERM (?:User (\S+) has )?no permissions to (.*)", text, re.I):
        text = f"the user {denied[1] or ''} may not {denied[2]}".replace("user  ", "user ")
        if command := re.search(r"run the '([\w|]+)' command", text):
            text += f": ACL SETUSER {denied[1] or '…'} +{command[1]}"
        elif "key" in text:
            text += ": allow ~{namespace}:* with ACL SETUSER"
    else:
        for beginning, meaning in _SAID.items():
            if text.startswith(beginning):
                text = f"{meaning} ({text})" if isinstance(error, StoreBusy) else meaning
                break
    return text if text.startswith(description) else f"{description}: {text}"


def _why_unreachable(error: StoreUnreachable, text: str, *, is_tls: bool) -> str:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"the host's name can't be resolved ({cause.strerror}): check redis.url"
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return no_descriptors(cause)
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there: is the server running?"
        if isinstance(cause, FileNotFoundError):
            return "there is no such socket: is the server running?"
        if isinstance(cause, PermissionError):
            return "the socket may not be used by this user: see its permissions"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the server's certificate isn't accepted: {cause.verify_message}:"
                " redis.tls_ca is the CA that signed it"
            )
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or str(cause)).replace("_", " ").lower()
            return f"TLS failed ({reason}): is it a TLS port, and TLS 1.2 or newer?"
        if isinstance(cause, TimeoutError):
            # A server without TLS waits for the end of what it takes for a command.
            hint = "is it a TLS port" if is_tls else "is that the right host"
            return f"no answer in time: {hint}, and is the server running?"
    if "closed by server" in text:
        return "the server hung up" + ("" if is_tls else ": does it want TLS (rediss://)?")
    return f"no answer from the server: {text}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
