"""What may stand in a path: ``{job:all}`` is anything, also slashes and line breaks."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


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
