"""Mail, at a rate that its readers and the server bear."""

from __future__ import annotations

from email.message import EmailMessage

import trioq
from shop.app import Deps, app

smtp = trioq.Limit("smtp", rate=10, concurrency=2)
per_reader = trioq.Limit("per_reader", key="to", rate="6/m", burst=3)


@app.job(queue="mail", limits=[smtp, per_reader], retry=trioq.Retry(max_attempts=10, cap=3600))
def send(job: trioq.Job[Deps], to: str, subject: str, text: str) -> None:
    """Hand a mail over. A crash just then sends it again: the second has the first's Message-ID,
    by which servers and readers tell it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", to, subject
    message["Message-ID"] = f"<{job.uid}@example.com>"
    message.set_content(text)
    job.deps.post.send(message)
