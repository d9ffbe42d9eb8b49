"""What is around handlers, and who hears of failures: what would lose a failure, or make one."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

AROUND = "engine/handlers/around.py"
CROSSING = "engine/handlers/crossing.py"
FAILURES = "engine/runs/failures.py"
FUNCTION = "engine/handlers/function.py"

LAYERS: Killers = ("tests/engine/handlers/test_around.py",)
SAME: Killers = ("props/test_around.py",)
TOLD: Killers = ("tests/engine/runs/test_failures.py",)

SURROUNDINGS = (
    Mutant(
        "a failure that a plain middleware swallows is a job that is done",
        AROUND,
        "            self._failed(generator, error)\n            raise\n        if id(",
        "            self._failed(generator, error)\n            returned = None\n        if id(",
        LAYERS,
    ),
    Mutant(
        "a failure that an async middleware swallows is a job that is done",
        AROUND,
        "            await self._failed_there(generator, error)\n            raise",
        "            await self._failed_there(generator, error)\n            return None",
        LAYERS,
    ),
    Mutant(
        "the first middleware is the innermost",
        AROUND,
        "for middleware in reversed(layers):\n        layer",
        "for middleware in layers:\n        layer",
        LAYERS,
    ),
    Mutant(
        "a middleware of a thread that is left behind isn't told of the cancellation",
        AROUND,
        "    if type(error) is NoThread or type(error) is ThreadLeftBehind:\n"
        "        return error.cancelled\n",
        "",
        LAYERS,
    ),
    Mutant(
        "an error that ends iterators becomes another on its way",
        AROUND,
        "return is_stop and type(raised) is RuntimeError and raised.__cause__ is error",
        "return False",
        LAYERS,
    ),
    Mutant(
        "middleware is seen in tracebacks",
        AROUND,
        "                raise\n            with_traceback(error, traceback)\n        else:\n"
        "            await",
        "                raise\n        else:\n            await",
        (*LAYERS, *SAME),
    ),
    Mutant(
        "a coroutine that a def handler returns is awaited outside of its middleware",
        AROUND,
        "if id(type(returned)) not in PLAIN and not is_finished(returned):",
        "if False:",
        LAYERS,
    ),
    Mutant(
        "a thread has the context of what is around it in asyncio, not a copy",
        FUNCTION,
        "        context = copy_context()\n        first",
        "        context = Context()\n        first",
        LAYERS,
    ),
    Mutant(
        "what became of a thread under asyncio's middleware is forgotten",
        CROSSING,
        "            self._fate = fate\n",
        "",
        LAYERS,
    ),
    Mutant(
        "middleware in asyncio ends before the thread that is in it",
        CROSSING,
        "                cancelled = error\n",
        "                raise\n",
        LAYERS,
    ),
    Mutant(
        "a thread's cancellation comes to middleware in asyncio before its own",
        CROSSING,
        "            await loop.create_future()  # which is about to be told",
        "            cancelled = asyncio.CancelledError()",
        LAYERS,
    ),
    Mutant(
        "a plain middleware hears nothing of a cancellation",
        AROUND,
        "            result = await rest\n        except BaseException",
        "            result = await rest\n        except Exception",
        LAYERS,
    ),
    Mutant(
        "a plain middleware in a thread hears nothing of a cancellation",
        AROUND,
        "            returned = self.inner(job, **arguments)\n        except BaseException",
        "            returned = self.inner(job, **arguments)\n        except Exception",
        LAYERS,
    ),
    Mutant(
        "a run that is left behind in asyncio calls its handler yet, and ends the engine",
        CROSSING,
        "                finally:\n                    self._nursery = None\n",
        "                finally:\n                    pass\n",
        LAYERS,
    ),
    Mutant(
        "nobody is told of the end of what a def handler has returned to be awaited",
        CROSSING,
        "        except trio.Cancelled:\n            tell(None)\n",
        "",
        LAYERS,
    ),
    Mutant(
        "an engine that is cancelled tells half of its hooks",
        FAILURES,
        "with trio.CancelScope(shield=True), contextlib",
        "with contextlib",
        TOLD,
    ),
    Mutant(
        "hooks are told of what a handler has asked for",
        FAILURES,
        ' if error.kind != "retry_later"',
        "",
        TOLD,
    ),
    Mutant(
        "a job's time counts what a hook has taken before",
        "engine/runs/worker.py",
        "            await failures.tell(run, end, shop.threads)\n"
        "            self._spree.now = trio.current_time()",
        "            await failures.tell(run, end, shop.threads)",
        TOLD,
    ),
)
