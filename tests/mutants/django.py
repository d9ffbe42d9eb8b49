"""Mutants of what Django's programs are told, and of what is around their jobs."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

TASKS: Killers = ("tests/contrib/test_django_tasks.py", "--show-capture=no")
COMMIT: Killers = ("tests/contrib/test_django_commit.py",)
SETTINGS: Killers = ("tests/contrib/test_django_settings.py",)
BACKEND = "contrib/django/backend.py"
CONNECTIONS = "contrib/django/connections.py"
HANDLERS = "contrib/django/handlers.py"

DJANGO = (
    Mutant(
        "a task of a transaction doesn't wait for its commit", BACKEND,
        "and commit.in_transaction(using)", "and False", COMMIT,
    ),
    Mutant(
        "a task is forgotten at its end by the id that it had before its commit", BACKEND,
        "id_retention=self._kept(task)", "id_retention=0", COMMIT,
    ),
    Mutant(
        "a job that was rolled back waits for ever", "contrib/django/commit.py",
        "return lambda: all(", "return lambda: not any(True for _ in ()) and not all(", COMMIT,
    ),
    Mutant(
        "a job waits for the commit of the default database, whichever it is told",
        "contrib/django/commit.py",
        "    made._is_forgotten = when_committed(do, using)",
        "    made._is_forgotten = when_committed(do, None)", COMMIT,
    ),
    Mutant(
        "a task waits for the commit of the default database, whichever it is told", BACKEND,
        "commit.when_committed(do, using)", "commit.when_committed(do, None)", COMMIT,
    ),
    Mutant(
        "a task whose job is cancelled is waited for in vain", "contrib/django/results.py",
        '    "cancelled": api.TaskResultStatus.FAILED,\n', "", TASKS,
    ),
    Mutant(
        "a time without a zone is Greenwich's", BACKEND,
        "            at = timezone.make_aware(at)",
        "            at = timezone.make_aware(at, timezone.get_fixed_timezone(0))", TASKS,
    ),
    Mutant(
        "a thread keeps its connections from job to job", CONNECTIONS,
        "    reset_queries()\n    close_old_connections()\n    try:\n        yield\n    finally:\n"
        "        close_old_connections()",
        "    yield", TASKS,
    ),
    Mutant(
        "connections of asyncio's jobs stay open", CONNECTIONS,
        "if threads in SyncToAsync.context_to_thread_executor:", "if False:", TASKS,
    ),
    Mutant(
        "what JSON can't hold is done again and again", HANDLERS,
        "        raise GiveUp(\n            f\"{said} a {type(value)",
        "        raise ValueError(\n            f\"{said} a {type(value)", TASKS,
    ),
    Mutant(
        "a large task's end is kept by nobody", HANDLERS,
        "if _size(ended) <= most:", "if True:", TASKS,
    ),
    Mutant(
        "a task that is run again is told to have failed", HANDLERS,
        "if task is None or not failure.dies:", "if task is None:", TASKS,
    ),
    Mutant(
        "the least urgent queue comes first", "contrib/django/queues.py",
        "tuple(sorted(said.items(), reverse=True))", "tuple(sorted(said.items()))", TASKS,
    ),
    Mutant(
        "engines don't know the tasks of other backends", "contrib/django/engine.py",
        "registry.remember(each)", "pass", TASKS,
    ),
    Mutant(
        "a task is taken for one of its own backend wherever it is enqueued",
        "contrib/django/results.py", '        "backend": call.get("backend"),\n', "", TASKS,
    ),
    Mutant(
        "a question about a task is waited for without end", "contrib/django/clients.py",
        "connect_admin(said.config, patience=said.patience)", "connect_admin(said.config)",
        SETTINGS,
    ),
    Mutant(
        "a file wins over the settings", "contrib/django/conf.py",
        "trees.append(tree_of_file(file))\n    trees.append(below)",
        "trees.append(below)\n        trees.append(tree_of_file(file))", SETTINGS,
    ),
)  # fmt: skip
