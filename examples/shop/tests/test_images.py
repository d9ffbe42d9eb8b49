"""Pictures get smaller."""

from __future__ import annotations

from pathlib import Path

from shop.images import shrunk, thumbnail

import trioq
from trioq.testing import World

PICTURE = b"P6\n8 4\n255\n" + bytes(range(96))


def test_each_second_pixel_is_taken() -> None:
    row = bytes(range(24))
    small = bytes([*row[0:3], *row[6:9], *row[12:15], *row[18:21]])
    assert shrunk(b"P6\n8 4\n255\n" + 4 * row, 4) == b"P6 4 2 255\n" + 2 * small


async def test_a_thumbnail_lies_beside_its_picture(tq: World, tmp_path: Path) -> None:
    picture = tmp_path / "a.ppm"
    picture.write_bytes(PICTURE)
    small = await tq.perform(thumbnail.call(str(picture), 4))
    assert Path(small).read_bytes() == shrunk(PICTURE, 4)
    assert sorted(tmp_path.iterdir()) == [picture, Path(small)], "nothing is left behind"


async def test_what_is_no_picture_is_not_tried_again(tq: World, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    for path in ("a.txt", "nowhere.ppm"):
        await tq.client.enqueue(thumbnail.call(str(tmp_path / path), 4))
    with tq.deaths(thumbnail, count=2, error=trioq.GiveUp):
        await tq.drain()


async def test_one_picture_is_made_smaller_once(tq: World, tmp_path: Path) -> None:
    picture = tmp_path / "a.ppm"
    picture.write_bytes(PICTURE)
    handles = [await tq.client.enqueue(thumbnail.call(str(picture), 4)) for _ in range(3)]
    tq.assert_enqueued(thumbnail, count=1)
    await tq.drain()
    assert {await handle.result() for handle in handles} == {f"{picture}.4.ppm"}
