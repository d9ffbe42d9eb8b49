"""A caller's id that nobody has to write: made of a handler's name and fields of the payload.

The same values make the same id, in every process and version: ``report:["acme",7]``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from trioq.core import valid
from trioq.errors import PayloadRejected


def id_from(name: str, fields: Sequence[str], payload: Mapping[str, Any]) -> str:
    """The id of a job with this payload, which is JSON.

    Args:
      name: The handler's.
      fields: Of which it is made, in this order.

    Raises:
      PayloadRejected: The payload hasn't all of these.
    """
    if missing := [field for field in fields if field not in payload]:
        raise PayloadRejected(
            f"the id of a job of {name!r} is made of {_listed(fields)}, and its payload has no"
            f" {_listed(missing)}: give it, or an id of its own"
        )
    said = json.dumps([payload[field] for field in fields])
    # Read again, names of fields are texts, and can be sorted.
    text = json.dumps(json.loads(said), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    id = f"{name}:{text}"
    if valid.ID.allows(id):
        return id
    return f"{name}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
