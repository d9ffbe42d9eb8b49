"""Tokens of programs: only their SHA-256 is kept, which is no help to who reads it.

A token has 256 random bits, so that no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Protocol, TypeVar

#: With which each begins, so that scanners for secrets know one.
PREFIX = "trioq_"


class Kept(Protocol):
    @property
    def sha256(self) -> str: ...


K = TypeVar("K", bound=Kept)


def new_token() -> str:
    """One that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def whose(token: str, kept: Iterable[K]) -> K | None:
    """Of these, the one whose token it is. All are compared, each in constant time."""
    made, found = hash_token(token), None
    for each in kept:
        if hmac.compare_digest(made, each.sha256):
            found = each
    return found
