"""Paths: which of ours is asked for, and what may stand in one: ``{job:all}`` is anything, also
slashes and line breaks."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope


class Everything(Convertor[str]):
    """Whatever is there; an id may be any text."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("all", Everything())


def with_everything(path: str) -> str:
    """A path whose fields are anything: ``/jobs/{job}`` as ``/jobs/{job:all}``."""
    return path.replace("}", ":all}")


def path_of(scope: Scope) -> str:
    """The path below the mount, as the router takes it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    is_below = root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")
    return path[len(root) :] if is_below else path
