"""Mail goes out by SMTP."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage


class Post:
    def __init__(self, host: str) -> None:
        self._host = host

    def send(self, message: EmailMessage) -> None:
        with smtplib.SMTP(self._host) as smtp:
            smtp.send_message(message)
