"""What myproject does in the background."""

from pathlib import Path

import trio
import trioq

app = trioq.App()


@app.job("welcome", queue="urgent", timeout=30, retry=trioq.Retry(max_attempts=5))
async def welcome(email: str) -> None:
    """Runs in trio's event loop, where thousands may wait at once."""
    if "@" not in email:
        raise trioq.GiveUp(f"{email!r} is no address")  # trying again is no use: dead at once
    await trio.sleep(0.1)  # the request that sends it
    print(f"welcome, {email}")


@app.job("count_words", result="1h")
def count_words(path: str) -> int:
    """Runs in a thread. What it returns is kept for an hour."""
    return len(Path(path).read_text(encoding="utf-8").split())


@app.schedule("0 3 * * *", tz="UTC")
@app.job("tidy_up")
async def tidy_up() -> None:
    """Runs every night, once, however many engines there are."""
    print("nothing to tidy up yet")
