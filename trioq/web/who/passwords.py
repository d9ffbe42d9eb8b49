"""Passwords: what is kept of one, and whether one is right.

scrypt (RFC 7914), with its costs in what is kept, so that they can grow.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

#: Cost as a power of two, block size, lanes: 64 MB and some 0.1 s for each attempt.
COST, BLOCK, LANES = 16, 8, 1
#: What a cost can ask for, lest a configuration takes the machine's memory.
MEMORY = 2**28


def hash_password(password: str) -> str:
    """What is kept of a password: ``scrypt$cost$block$lanes$salt$hash``."""
    salt = secrets.token_bytes(16)
    made = _scrypt(password, salt, COST, BLOCK, LANES)
    return f"scrypt${COST}${BLOCK}${LANES}${_text(salt)}${_text(made)}"


def is_password(password: str, kept: str) -> bool:
    """Whether it is the one of which this was kept. Takes as long either way.

    Raises:
      ValueError: What was kept isn't of :func:`hash_password`, or costs more than it may.
    """
    _, cost, block, lanes, salt, made = kept.split("$")
    again = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(again, base64.b64decode(made))


#: Compared with where nobody has the name, so that it takes as long to be told so.
NOBODYS = "scrypt$16$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "="


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    # A lone surrogate comes from bytes that aren't UTF-8: they are a password, too.
    given = password.encode(errors="surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=2**cost, r=block, p=lanes, dklen=32, maxmem=MEMORY)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
