# ruff: noqa: RUF009  key() makes an attrs.field; nothing is shared between instances.
"""The page and its API, as they are configured: where, for whom, and what stays hidden."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Literal

import attrs

from trioq.core.config.keys import Section, about, key
from trioq.core.config.kinds import ListOf, Text
from trioq.core.config.numbers import Duration
from trioq.core.config.secret import Secret
from trioq.core.config.texts import ADDRESS, Hidden

RoleName = Literal["read", "operate", "admin"]
ROLES = ("read", "operate", "admin")
ROLE = Text(choices=ROLES)
NOBODY = "none"
MEMBER = Text(noun='the name of a field, such as "password"', pattern=r"[^\x00-\x1f\x7f]{1,200}")


@attrs.frozen(kw_only=True)
class Network(Text):
    """An address, or a network."""

    noun: str = 'an address or a network, such as "10.0.0.7" or "10.0.0.0/24"'

    def allows(self, value: Any) -> bool:
        try:
            return super().allows(value) and bool(ip_network(value, strict=False))
        except ValueError:
            return False


@attrs.frozen(kw_only=True)
class PasswordHash(Hidden):
    """What ``trioq web hash-password`` prints; a password itself doesn't belong into a file."""

    pattern: str = r"scrypt\$[0-9]{1,2}\$[0-9]{1,2}\$[0-9]{1,2}\$[\w+/=-]{16,}\$[\w+/=-]{32,}"

    def words(self) -> str:
        return "what `trioq web hash-password` prints"

    def allows(self, value: Any) -> bool:
        return isinstance(value, Secret) and Text(pattern=self.pattern).allows(value.reveal())


@attrs.frozen(kw_only=True)
class TokenHash(Text):
    """The SHA-256 of a token."""

    noun: str = "what `trioq web new-token` prints: 64 hexadecimal digits"
    pattern: str = "[0-9a-f]{64}"
    hidden: bool = True


@attrs.frozen(kw_only=True)
class WebUserConfig:
    """Somebody who may log in, or whom a proxy names."""

    name: str = ""
    """Its key in ``[web.users]``."""
    role: RoleName = attrs.field(
        metadata=about(
            ROLE,
            "`read`: look; `operate`: act on jobs, queues and schedules; `admin`: all.",
            "read",
        )
    )
    password: Secret | None = key(
        PasswordHash(),
        "What `trioq web hash-password` prints; absent: only a proxy can name this user.",
        None,
    )


@attrs.frozen(kw_only=True)
class WebTokenConfig:
    """A program that asks with ``Authorization: Bearer …``."""

    name: str = ""
    """Its key in ``[web.tokens]``."""
    sha256: str = attrs.field(
        metadata=about(
            TokenHash(),
            "The token's SHA-256, as `trioq web new-token` prints it; the token itself isn't kept.",
            "0" * 64,
        )
    )
    role: RoleName = key(ROLE, "As of users.", "read")


@attrs.frozen(kw_only=True)
class WebConfig:
    """The page and its API."""

    bind: str = key(
        attrs.evolve(
            ADDRESS, noun='an address such as "127.0.0.1:9180" or "[::1]:9180", or "" for none'
        ),
        "Where `trioq serve` shows the page beside its engine; empty: nowhere. `trioq web` takes "
        "127.0.0.1:9180 then. Other machines' addresses need users, tokens or a proxy.",
        "",
    )
    users: Mapping[str, WebUserConfig] = key(
        Section(WebUserConfig, "named"), "Who may log in.", attrs.Factory(dict)
    )
    tokens: Mapping[str, WebTokenConfig] = key(
        Section(WebTokenConfig, "named"), "Programs that may ask.", attrs.Factory(dict)
    )
    proxies: tuple[str, ...] = key(
        ListOf(Network()), "Whose word counts about who asks: addresses of proxies.", ()
    )
    proxy_header: str = key(
        Text(noun='the name of a header, such as "X-Forwarded-User"', pattern=r"[A-Za-z0-9-]*"),
        "In which header they say the user's name; empty: they don't.",
        "",
    )
    proxy_role: Literal["none", "read", "operate", "admin"] = key(
        Text(choices=(NOBODY, *ROLES)),
        "The role of a name that they say and `users` doesn't list; `none`: it is refused.",
        NOBODY,
    )
    sensitive: tuple[str, ...] = key(
        ListOf(MEMBER),
        "Names of fields, at any depth of payloads and results, whose values nobody is shown.",
        (),
    )
    session_s: float = key(
        Duration(at_least=60, at_most=30 * 86400),
        "How long one stays logged in; without a request half of it.",
        43200.0,
    )

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of ``bind``, or None for off."""
        return host_and_port(self.bind) if self.bind else None

    @property
    def knows_somebody(self) -> bool:
        """Whether anybody has to say who they are."""
        return bool(self.users or self.tokens or (self.proxies and self.proxy_header))

    def is_proxy(self, address: str) -> bool:
        """Whether this peer is one of the proxies."""
        try:
            peer = ip_address(address.partition("%")[0])
        except ValueError:  # a Unix socket's
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in ip_network(network, strict=False) for network in self.proxies)


def host_and_port(bind: str) -> tuple[str, int]:
    """``127.0.0.1:9180`` and ``[::1]:9180``, taken apart."""
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)
