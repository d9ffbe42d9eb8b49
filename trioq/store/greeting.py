"""The first words on a connection: who we are, which database, and what we are called.

Said here and not by redis-py, which gives up where a server doesn't have CLIENT, and whose
errors can repeat what was sent: the password.
"""

from __future__ import annotations

import re

import attrs
import redis
from redis.connection import AbstractConnection
from redis.exceptions import InvalidResponse

from trioq.core.config import RedisConfig
from trioq.store import replies

#: How servers repeat a request that they don't know.
_ARGUMENTS = re.compile(r",? *with args beginning with.*", re.DOTALL)


@attrs.frozen
class Greeting:
    """How connections of one configuration begin."""

    redis: RedisConfig = attrs.field(repr=False)

    def say(self, connection: AbstractConnection, name: str) -> None:
        """Log in, choose the database, and tell the name to whoever lists clients.

        Raises:
          redis.RedisError: The server wants none of it; the text hasn't the password.
        """
        connection.on_connect()
        username, password = self.redis.username, self.redis.password
        if username or password:
            words = [] if username is None else [username]
            self._ask(connection, "AUTH", *words, password.reveal() if password else "")
        if self.redis.db:
            self._ask(connection, "SELECT", self.redis.db)
        try:
            self._ask(connection, "CLIENT", "SETNAME", name)
        except redis.ResponseError as error:
            # The name is for people: some servers, and some users, do without.
            if not (isinstance(error, redis.exceptions.NoPermissionError) or _is_unknown(error)):
                raise

    def _ask(self, connection: AbstractConnection, *command: object) -> None:
        try:
            connection.send_command(*command, check_health=False)
            answer = connection.read_response()
        except redis.RedisError as error:
            error.args = (self._without_secret(str(error)),)
            raise error from None
        if answer != b"OK":
            told = replies.described(answer)
            raise InvalidResponse(f"{command[0]} was answered with {told}")

    def _without_secret(self, text: str) -> str:
        text = _ARGUMENTS.sub("", text)
        password = self.redis.password
        return text.replace(password.reveal(), str(password)) if password else text


def _is_unknown(error: redis.ResponseError) -> bool:
    return "unknown" in str(error).lower()
