"""The handlers as an engine runs them, in virtual time: `tq` is trioq's, see its docs/testing.md."""

from pathlib import Path

import pytest
import trioq
from trioq.testing import World

from myproject.jobs import count_words, tidy_up, welcome


async def test_a_welcome_is_said(tq: World, capsys: pytest.CaptureFixture[str]) -> None:
    await tq.client.enqueue(welcome.call("ada@example.com"))
    tq.assert_enqueued(welcome, email="ada@example.com")
    await tq.drain()
    assert "welcome, ada@example.com" in capsys.readouterr().out


async def test_a_welcome_is_tried_again(tq: World, capsys: pytest.CaptureFixture[str]) -> None:
    tq.fail(welcome, times=2, error=ConnectionError)
    await tq.client.enqueue(welcome.call("ada@example.com"))
    await tq.drain()  # the pauses between the attempts are virtual: it takes no time
    assert "welcome, ada@example.com" in capsys.readouterr().out


async def test_who_has_no_address_is_given_up(tq: World) -> None:
    with tq.deaths(welcome, error=trioq.GiveUp):
        await tq.client.enqueue(welcome.call("ada"))
        await tq.drain()


async def test_words_are_counted(tq: World, tmp_path: Path) -> None:
    file = tmp_path / "poem.txt"
    file.write_text("so much depends upon")
    assert await tq.perform(count_words.call(str(file))) == 4


async def test_the_night_is_tidy(tq: World) -> None:
    await tq.perform(tidy_up.call())
