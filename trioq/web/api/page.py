"""The page ``docs/api.md``, made from the tables that the API is served by."""

from __future__ import annotations

import json
from collections.abc import Iterator

from trioq.core.convert import CONVERTER
from trioq.web.api.jsonschema import schema_of
from trioq.web.api.openapi import PREFIX, REFUSALS
from trioq.web.api.questions import QUESTIONS
from trioq.web.operations import OPERATIONS, fields_of
from trioq.web.operations.fields import Field

HEAD = f"""\
# API

<!-- Drawn from trioq/web/api and trioq/web/operations by `python -m tests.write_docs`. -->

What the [command line](cli.md) tells and does, for programs: JSON under `{PREFIX}`, where
`trioq web` or an engine with `[web] bind` serves the page. `{PREFIX}/openapi.json` is its document
(OpenAPI 3.1).

```sh
curl -H "Authorization: Bearer $TRIOQ_API_TOKEN" https://trioq.example/api/v1/queues/low
curl -H "Authorization: Bearer $TRIOQ_API_TOKEN" \\
    --json '{{"queue": "low", "note": "the disk is full"}}' \\
    https://trioq.example/api/v1/operations/queues.pause
```

- **What is asked** is a GET, **what is done** a POST of a JSON object to `{PREFIX}/operations/` and
  its name, and what comes of it has a sentence in `done`. Each takes a [role](#what-can-be-done);
  each that is asked for, done or refused, is a line in the log: `acted`.
- **Shapes** are those of the command line's `--json`. Fields may be added, none is taken away or
  changes its meaning. Times ending in `_ms` are epoch milliseconds.
- **Nothing is guessed**: a parameter or a field that there isn't, one that is said twice, or of
  another kind is an answer 422 that names all of them.
- **What is wrong** is told as a problem document (RFC 9457): `application/problem+json` with
  `title`, `status`, `detail`, and `faults`, each with `where` and `what`.
- **Many jobs** are done a part in each request: while `more` is true, the same request with this
  one's `after` goes on.
- An id that ends like a path below a job (`…/explain`) is asked for by the job's uid.
- Fields of payloads that `[web] sensitive` names are masked.

| status | |
| --- | --- |
"""


def api_md() -> str:
    """The page ``docs/api.md``."""
    return "\n".join([HEAD + "\n".join(_statuses()), "", *_asked(), *_done(), *_from_afar()]) + "\n"


def _statuses() -> Iterator[str]:
    more = {"405": "Another method is for this path: `allow` says which."}
    for status, says in sorted({**REFUSALS, **more}.items()):
        yield f"| {status} | {says} |"


def _asked() -> Iterator[str]:
    yield "## What can be asked"
    for question in QUESTIONS:
        like = f" `{question.shape}`" if question.shape != "Time[]" else ""
        yield from (
            "",
            f"### GET {question.path}",
            "",
            f"{question.does} Answers{like or ' times'}.",
        )
        yield from _fields(question.takes)


def _done() -> Iterator[str]:
    yield from ("", "## What can be done", "", "| | role | |", "| --- | --- | --- |")
    for name, row in OPERATIONS.items():
        grave = " Asks first on the page." if row.is_grave else ""
        yield f"| [`{name}`](#{name.replace('.', '')}) | `{row.role.name}` | {row.does}{grave} |"
    for name, row in OPERATIONS.items():
        yield from ("", f"### {name}", "", row.does)
        yield from _fields(row.takes)


def _fields(takes: type) -> Iterator[str]:
    if not (fields := fields_of(takes)):
        return
    yield from ("", "| field | is | |", "| --- | --- | --- |")
    for field in fields.values():
        kinds = _kinds(field)
        if field.required:
            default = "required"
        elif field.default in (None, "", [], {}):
            default = ""
        else:
            default = f"default `{json.dumps(CONVERTER.unstructure(field.default))}`"
        cells = ", ".join(filter(None, (kinds, default)))
        yield f"| `{field.name}` | {cells} | {field.says.replace('|', '&#124;')} |"


def _kinds(field: Field) -> str:
    schema = schema_of(field)
    arms = schema.get("anyOf", [schema])
    told = [each.get("type", "one of those named") for each in arms]
    flat = [kind for each in told for kind in (each if isinstance(each, list) else [each])]
    if "array" in flat:
        flat = ["list"]
    return " or ".join(dict.fromkeys(kind for kind in flat if kind != "null"))


def _from_afar() -> Iterator[str]:
    yield from (
        "",
        "## From the command line",
        "",
        "`trioq COMMAND --api URL` does over this what it else does over Redis:"
        " [Command line](cli.md#over-the-api).",
    )
