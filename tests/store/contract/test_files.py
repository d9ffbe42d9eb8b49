"""Both stores: what the producers of a directory remember of its files, and for how long."""

from __future__ import annotations

from tests.store.world import SECOND, Make, World
from tests.support import Server, new_job
from trioq.core.seen import Sighting

DAY = 86_400 * SECOND
NAME = "weird \udcff\nname"


def seen(w: World, *files: tuple[str, str]) -> None:
    """Enqueue these."""
    w.sender.enqueue(*(new_job(seen=file) for file in files))


def gone(path: str, known: str) -> Sighting:
    return Sighting(path, known, is_gone=True)


def there(path: str, known: str, mark: str = "") -> Sighting:
    return Sighting(path, known, is_gone=False, mark=mark)


def test_a_path_is_forgotten_that_is_found_gone_once_more_after_its_time(world: Make) -> None:
    w = world()
    seen(w, (NAME, "1:2:3"), ("other", "1:2:3"))
    assert w.store.note_files([gone(NAME, "1:2:3")], DAY) == 0
    noted = f"1:2:3:{w.clock.ms}"
    assert w.store.seen([NAME, "other"]) == [noted, "1:2:3"]
    w.clock.ms += DAY - 1
    assert w.store.note_files([gone(NAME, noted)], DAY) == 0
    assert w.store.seen([NAME]) == [noted]
    w.clock.ms += 1
    assert w.store.note_files([gone(NAME, noted)], DAY) == 1
    assert w.store.seen([NAME, "other"]) == [None, "1:2:3"]
    assert w.dump().seen.keys() == {"other", "\0other"}


def test_a_file_that_came_back_meanwhile_is_never_forgotten(world: Make) -> None:
    w = world()
    seen(w, ("same", "1:2:3"), ("another", "1:2:3"))
    w.store.note_files([gone("same", "1:2:3"), gone("another", "1:2:3")], DAY)
    noted = f"1:2:3:{w.clock.ms}"
    w.clock.ms += DAY
    # Somebody has looked, and before it says so the files are there again and others tell.
    late = [gone("same", noted), gone("another", noted)]
    w.store.note_files([there("same", noted, "1:2:3")], DAY)
    seen(w, ("another", "1:2:9"))
    assert w.store.note_files(late, DAY) == 0
    assert w.store.seen(["same", "another"]) == ["1:2:3", "1:2:9"]
    # And one that goes again has its whole time.
    w.store.note_files([gone("same", "1:2:3")], DAY)
    assert w.store.note_files(late, DAY) == 0
    assert w.store.seen(["same"]) == [f"1:2:3:{w.clock.ms}"]


def test_a_repeated_or_late_note_changes_nothing(world: Make) -> None:
    w = world()
    seen(w, ("a", "1:2:3"))
    first = [gone("a", "1:2:3")]
    w.store.note_files(first, DAY)
    noted = f"1:2:3:{w.clock.ms}"
    w.clock.ms += DAY
    w.store.note_files(first, DAY)
    assert w.store.seen(["a"]) == [noted]
    for _ in range(2):
        assert w.store.note_files([gone("a", noted)], DAY) == 1
    assert w.store.note_files([gone("a", noted), *first, there("a", noted)], DAY) == 2
    assert w.dump().seen == {}


def test_a_clock_that_went_back_has_a_file_wait_for_its_whole_time(world: Make) -> None:
    w = world()
    seen(w, ("a", "1:2:3"))
    w.store.note_files([gone("a", "1:2:3")], DAY)
    ahead = f"1:2:3:{w.clock.ms}"
    w.clock.ms -= 400 * DAY
    w.store.note_files([gone("a", ahead)], DAY)
    noted = f"1:2:3:{w.clock.ms}"
    assert w.store.seen(["a"]) == [noted]
    w.clock.ms += DAY
    assert w.store.note_files([gone("a", noted)], DAY) == 1


def test_marks_of_an_older_version_stay_and_it_knows_those_of_this_one(world: Make) -> None:
    w = world()
    seen(w, ("a", "1:2"))
    assert w.store.seen(["a"]) == ["1:2"]
    w.store.note_files([there("a", "1:2", "1:2:3")], DAY)
    assert w.store.seen(["a"]) == ["1:2:3"]
    assert w.dump().seen["a"] == "1:2", "all that an older version looks at"
    seen(w, ("b", "4:5:6"))
    assert w.dump().seen["b"] == "4:5"


def test_an_older_version_that_enqueues_the_next_file_leaves_the_mark_of_the_last(
    server: Server,
) -> None:
    w = World.of("redis", server)
    seen(w, ("a", "1:2:3"))
    server.call("HSET", "{t}:seen", "a", "5:6")
    assert w.store.seen(["a"]) == ["5:6"]
    w.store.note_files([there("a", "5:6", "5:6:7")], DAY)
    assert w.store.seen(["a"]) == ["5:6:7"]
    w.close()


def test_a_round_meets_every_path_that_is_there_all_the_time(world: Make) -> None:
    w = world()
    stays = {f"stays/{n}" for n in range(300)}
    seen(w, *((path, "1:2:3") for path in sorted(stays)))
    seen(w, *((f"goes/{n}", "1:2:3") for n in range(300)))
    cursor, met, pages = "", dict[str, str](), 0
    while pages == 0 or cursor:
        cursor, page = w.store.seen_from(cursor, 20)
        met |= page
        pages += 1
        going = [gone(path, its) for path, its in page.items() if path not in stays]
        w.store.note_files(going, 0)
        w.store.note_files([gone(each.path, f"{each.known}:{w.clock.ms}") for each in going], 0)
    assert stays <= met.keys() <= stays | {f"goes/{n}" for n in range(300)}
    assert set(met.values()) == {"1:2:3"}
    assert pages > 5
    assert {path for path in w.dump().seen if "\0" not in path} == stays


def test_a_file_that_was_gone_is_queued_again_only_if_it_is_another(world: Make) -> None:
    w = world()
    seen(w, ("a", "1:2:3"), ("b", "1:2:"))
    w.store.note_files([gone("a", "1:2:3"), gone("b", "1:2:")], DAY)
    files = [new_job(seen=("a", "1:2:3")), new_job(seen=("b", "1:2:")), new_job(seen=("b", "1:2:"))]
    # The second one's mark doesn't tell, so that it was gone does: once.
    assert w.store.enqueue(*w.sender.next(), files).seen == {0, 2}
    assert w.store.seen(["b"]) == ["1:2:"]


def test_nobody_fails_of_what_others_have_written(server: Server) -> None:
    w = World.of("redis", server)
    odd = {"a": "odd", "b": "1:2", "\0b": "1:2:3:4:5", "\0c": "1:2:3", "d": ""}
    server.call("HSET", "{t}:seen", *(text for item in odd.items() for text in item))
    for _ in range(2):
        cursor, known = w.store.seen_from("", 100)
        assert (cursor, known.keys()) == ("", {"a", "b", "d"})
        w.store.note_files([gone(path, its) for path, its in known.items()], DAY)
    w.close()
