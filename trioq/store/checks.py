"""What is asked of a server before an engine works with it, and errors put in plain words."""

from __future__ import annotations

import re
from typing import Any

import attrs

from trioq.errors import StoreBusy, StoreError, StoreRefused, StoreUnreachable
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

#: The first versions with script flags, which keep a full server drainable.
NEEDED = {"redis": (7, 0, 0), "valkey": (7, 2, 0)}

#: Commands that trioq sends itself, besides those in its scripts.
OWN_COMMANDS = frozenset(
    {"BLPOP", "EVAL", "EVALSHA", "EXEC", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "HVALS"}
    | {"INFO", "LLEN", "LRANGE", "MULTI", "PING", "SCARD", "SMEMBERS", "TIME", "ZCARD", "ZCOUNT"}
    | {"ZRANGE", "ZSCORE"}
)

#: Commands without a key.
KEYLESS = frozenset({"EXEC", "INFO", "MULTI", "PING", "TIME"})

#: Asks without doing: which of these commands may the user run on this key?
PROBE = """#!lua flags=no-writes
local missing = {}
for i = 1, #ARGV do
  local name = ARGV[i]
  local allowed
  if string.sub(name, 1, 1) == "*" then
    name = string.sub(name, 2)
    allowed = redis.acl_check_cmd(name)
  elseif name == "EVAL" or name == "EVALSHA" then
    allowed = redis.acl_check_cmd(name, "return 1", "1", KEYS[1])
  else
    allowed = redis.acl_check_cmd(name, KEYS[1], "0", "0")
  end
  if not allowed then
    missing[#missing + 1] = name
  end
end
return missing
"""

_CALLED = re.compile(r'redis\.call\("([A-Z]+)"')


@attrs.frozen
class ServerFacts:
    """What a start-up log says of the server."""

    kind: str
    version: tuple[int, ...]
    durability: str
    """What a crash of the server can cost."""


def commands() -> frozenset[str]:
    """Every command that trioq needs to be allowed."""
    called = {name for script in all_scripts() for name in _CALLED.findall(script.text)}
    # Some scripts choose their command: `put("HSET", …)`, and pause its SADD or SREM.
    return OWN_COMMANDS | called | {"HSET", "SADD", "SREM", "LPUSH", "ZADD", "ZREM"}


def minimal_acl(namespace: str) -> str:
    """The rule of a user that may do what trioq needs in this namespace, and nothing else."""
    allowed = " ".join(f"+{name.lower()}" for name in sorted(commands()))
    return f"resetkeys resetchannels -@all ~{{{namespace}}}:* {allowed}"


def check_server(store: RedisStore) -> ServerFacts:
    """Look at the server before working with it.

    Raises:
      StoreUnreachable, StoreBusy: It doesn't answer, or not now.
      StoreRefused: It can't be used as it is; the message says what to do.
    """
    info = _info(store)
    kind = "valkey" if "valkey_version" in info else "redis"
    told = info.get("valkey_version") or info.get("redis_version", "")
    version = tuple(int(part) for part in re.findall(r"\d+", told)[:3])
    if version and version < NEEDED[kind]:
        needed = ".".join(map(str, NEEDED[kind][:2]))
        raise StoreRefused(f"the server is {kind} {told}; trioq needs {kind} {needed} or newer")
    if info.get("role") == "slave":
        raise StoreRefused("the server is a read-only replica: connect to its primary")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreRefused(
            f"the server's maxmemory-policy is {policy}, so it would throw jobs away:"
            " CONFIG SET maxmemory-policy noeviction, and set it in the server's configuration"
        )
    _check_permissions(store)
    return ServerFacts(kind, version, _durability(info))


def explain(error: StoreError, description: str) -> str:
    """One line for a person: what was wrong, with which server, and what to do."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, StoreUnreachable):
        return f"{description}: no answer from the server: {text}"
    if isinstance(error, StoreBusy):
        return f"{description}: the server says not now: {text}"
    if re.search("WRONGPASS|invalid username-password|invalid password", text, re.IGNORECASE):
        return (
            f"{description}: wrong user name or password:"
            " set redis.username and redis.password, or TRIOQ_REDIS__PASSWORD"
        )
    if re.search("NOAUTH|Authentication required", text, re.IGNORECASE):
        return f"{description}: the server wants a password: set TRIOQ_REDIS__PASSWORD"
    if text.startswith(description):
        return text
    return f"{description}: {text}"


def _info(store: RedisStore) -> dict[str, str]:
    """What INFO says; empty where the user may not ask."""
    info: dict[str, str] = {}
    for section in ("server", "replication", "memory", "persistence"):
        try:
            raw: Any = store.lane.call("INFO", section)
        except StoreRefused as error:
            if "NOPERM" in str(error) or "no permissions" in str(error).lower():
                return info
            raise
        for line in raw.decode().splitlines():
            name, colon, value = line.partition(":")
            if colon:
                info[name] = value
    return info


def _check_permissions(store: RedisStore) -> None:
    """Name every command that the user lacks, before a script breaks off in the middle."""
    asked = [f"*{name}" if name in KEYLESS else name for name in sorted(commands())]
    key = store.keys.fixed("stats")
    try:
        missing = [name.decode() for name in store.lane.call("EVAL", PROBE, 1, key, *asked)]
    except StoreRefused as error:
        raise StoreRefused(
            f"{error}: the user needs at least: ACL SETUSER … {minimal_acl(store.keys.namespace)}"
        ) from None
    if missing:
        allow = " ".join(f"+{name.lower()}" for name in missing)
        raise StoreRefused(f"the user lacks permissions: ACL SETUSER … {allow}")


def _durability(info: dict[str, str]) -> str:
    if not info:
        return "unknown: the user may not ask"
    if info.get("aof_enabled") == "1":
        return "append-only file on: a crash of the server loses at most the last writes"
    return "no append-only file: a crash of the server loses jobs"
