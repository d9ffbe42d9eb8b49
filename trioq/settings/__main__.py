"""``python -m trioq.settings docs [FILE]`` writes the reference, ``… schema`` the schema."""

from __future__ import annotations

import json
import pathlib
import sys

from trioq.settings import reference, schema


def main(arguments: list[str]) -> int:
    """Print what was asked for, or write it to a file."""
    match arguments:
        case ["docs", *target] if len(target) <= 1:
            text = reference()
        case ["schema", *target] if len(target) <= 1:
            text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
        case _:
            print("usage: python -m trioq.settings docs|schema [FILE]", file=sys.stderr)
            return 2
    if target:
        pathlib.Path(target[0]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
