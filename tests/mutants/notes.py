"""Mutants of what handlers say of how far they are, and who is told."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

BOARDS: Killers = ("tests/core/test_board.py",)
SENT: Killers = ("tests/engine/shard/test_notes.py",)
RUNS: Killers = ("tests/engine/test_notes.py",)
FOLLOWED: Killers = ("tests/client/test_follow.py",)
HISTORY: Killers = ("tests/core/formats/test_history.py",)

BOARD = "core/board.py"
NOTES = "engine/shard/notes.py"

NOTES_MUTANTS = (
    Mutant(
        "what nobody watches is told each second", NOTES,
        "WATCHED_S / 2 if self.is_watched() else UNWATCHED_S", "WATCHED_S / 2", SENT,
    ),
    Mutant(
        "what is said while a note is sent is never told", NOTES,
        "each.board.told, each.board.told_at = each.tells, now",
        "each.board.told, each.board.told_at = each.board.now, now", SENT,
    ),
    Mutant(
        "what is said while a note is made is never told", NOTES,
        "    tells = board.now  # before it is read: what comes meanwhile is news\n"
        "    return _Sent(Note(claim.uid, claim.step, board.note(claim.attempt)), board, tells)",
        "    note = Note(claim.uid, claim.step, board.note(claim.attempt))\n"
        "    return _Sent(note, board, board.now)", SENT,
    ),
    Mutant(
        "what a runner has told is told again", BOARD,
        "        self.told = said, logged\n", "", BOARDS,
    ),
    Mutant(
        "lines that a runner has left out don't count", BOARD,
        "        self.logged = int(logged)\n", "", BOARDS,
    ),
    Mutant(
        "a job with a deadline forgets what was said before", "engine/runs/start.py",
        "            noted=claim.noted,\n", "", RUNS,
    ),
    Mutant(
        "of a job that is another's by now notes are sent on", NOTES,
        "each.board.is_refused = each.note.uid in refused", "each.board.is_refused = False", SENT,
    ),
    Mutant(
        "all notes go in one request", NOTES,
        "if room <= 0 or len(some) == NOTES_MAX:", "if room <= 0:", SENT,
    ),
    Mutant(
        "a request of notes has no bound in bytes", NOTES,
        "if room <= 0 or len(some) == NOTES_MAX:", "if len(some) == NOTES_MAX:", SENT,
    ),
    Mutant(
        "a run that was cancelled doesn't tell the last of what it said", NOTES,
        "trio.CancelScope(shield=True, deadline", "trio.CancelScope(deadline", SENT,
    ),
    Mutant(
        "a last note is waited for as long as it takes", NOTES,
        "shield=True, deadline=trio.current_time() + LAST_S", "shield=True", SENT,
    ),
    Mutant(
        "whoever has no lease tells the last of what its runs said", NOTES,
        "if not board.has_news or not self.may_tell():", "if not board.has_news:", SENT,
    ),
    Mutant(
        "a run that failed is told of before its last note", "engine/runs/worker.py",
        "await run.claim.by.last_note(run.claim, board)", "pass", RUNS,
    ),
    Mutant(
        "a job whose payload lay apart forgets what was said before", "engine/shard/payloads.py",
        "payload=payload)", 'payload=payload, noted=b"")', RUNS,
    ),
    Mutant(
        "a log has as many lines as were written", BOARD,
        "len(self._lines) > LINES or self._bytes > LOG_BYTES", "self._bytes > LOG_BYTES", BOARDS,
    ),
    Mutant(
        "a log has as many bytes as were written", BOARD,
        "len(self._lines) > LINES or self._bytes > LOG_BYTES", "len(self._lines) > LINES", BOARDS,
    ),
    Mutant(
        "data may be as large as it likes", BOARD,
        "if len(encoded) > DATA_MAX:", "if len(encoded) < 0:", BOARDS,
    ),
    Mutant(
        "an attempt shows how far the one before it came", "client/status.py",
        'if noted is None or (view.state == "running" and noted.attempt != attempt):',
        "if noted is None:", FOLLOWED,
    ),
    Mutant(
        "who follows is told the same again and again", "client/client.py",
        "if now is not None and now != last:", "if now is not None:", FOLLOWED,
    ),
    Mutant(
        "a closed client is followed for ever", "client/client.py",
        "            except StoreClosed:\n                raise\n            except (StoreUn",
        "            except (StoreUn", FOLLOWED,
    ),
    Mutant(
        "a history keeps all that was logged", "core/formats/history.py",
        "reversed(log)), LOG_BYTES)", "reversed(log)), 10**9)", HISTORY,
    ),
)  # fmt: skip
