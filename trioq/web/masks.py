"""What isn't shown of payloads: the fields that ``[web] sensitive`` names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from trioq.core.config import Config

#: Instead of what isn't shown.
MASK = "•••"


def sensitive_of(config: Config) -> frozenset[str]:
    """The names of the fields, as they are compared: without case."""
    return frozenset(name.casefold() for name in config.web.sensitive)


def masked(value: Any, sensitive: Collection[str]) -> Any:
    """A payload, or what came of it, with these members of its objects masked, however deep they
    lie. A text that can't be read as JSON is masked as a whole.

    Args:
      value: As JSON has it.
      sensitive: Names, without case.
    """
    if not sensitive:
        return value
    return MASK if isinstance(value, str) else _masked(value, sensitive)


def masked_job(told: Mapping[str, Any], sensitive: Collection[str]) -> dict[str, Any]:
    """A job as it is told in JSON, with its payload masked, and what its handler told of."""
    shown = dict(told)
    if sensitive:
        shown["payload"] = masked(shown.get("payload"), sensitive)
        if "payload_raw" in shown:
            shown["payload_raw"] = None
        if noted := shown.get("noted"):
            shown["noted"] = _masked(noted, sensitive)
    return shown


def unmasked(value: Any, before: Any, sensitive: Collection[str]) -> Any:
    """What was masked and edited, with what the masks hid.

    Args:
      before: What it was before it was masked.

    Raises:
      ValueError: A mask stands where there was nothing; all of them.
    """
    lost = list[str]()
    found = _unmasked(value, before, sensitive, "", lost)
    if lost:
        told = ", ".join(lost[:10])
        raise ValueError(f"{MASK} stands for what was there, and there was nothing: {told}")
    return found


def _unmasked(
    value: Any, before: Any, sensitive: Collection[str], path: str, lost: list[str]
) -> Any:
    if isinstance(value, Mapping):
        was = before if isinstance(before, Mapping) else {}
        found = {}
        for name, each in value.items():
            here = f"{path}.{name}" if path else str(name)
            if each != MASK or str(name).casefold() not in sensitive:
                found[name] = _unmasked(each, was.get(name), sensitive, here, lost)
            elif name in was:
                found[name] = was[name]
            else:
                lost.append(here)
        return found
    if isinstance(value, list):
        old = before if isinstance(before, list) else []
        return [
            _unmasked(each, old[i] if i < len(old) else None, sensitive, f"{path}[{i}]", lost)
            for i, each in enumerate(value)
        ]
    return value


def _masked(value: Any, sensitive: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: MASK if str(name).casefold() in sensitive else _masked(each, sensitive)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(each, sensitive) for each in value]
    return value
