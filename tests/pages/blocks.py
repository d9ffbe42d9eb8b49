"""The code blocks of a page, and how each is tried: by what it is, not by where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]

#: A block that begins with its name is a file.
_NAME = re.compile(r"# ([\w/]+\.(?:py|toml))(?:\n|$)")


@attrs.frozen
class Block:
    """A fenced block."""

    page: str
    """From the root of the tree."""
    line: int
    """That of its fence."""
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """Which file it is, if it is one."""
        found = _NAME.match(self.text)
        return found[1] if found else None


def blocks_of(page: str) -> list[Block]:
    """All of them, in order."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    return [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for token in tokens
        if token.type in ("fence", "code_block") and token.map is not None
    ]


def output_of(blocks: list[Block]) -> dict[Block, Block]:
    """What a page says that its ``ask.py`` prints: the first block of text after it."""
    asking = next((block for block in blocks if block.file == "ask.py"), None)
    if asking is None:
        return {}
    after = blocks[blocks.index(asking) + 1 :]
    told = next((block for block in after if block.language == "text"), None)
    return {} if told is None else {asking: told}


@attrs.frozen
class Command:
    """A line that somebody types, and what is shown below it."""

    words: str
    shown: str


def commands(block: Block) -> list[Command]:
    """Those of a block of a terminal."""
    _, *typed = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    parts = [part.partition("\n") for part in typed]
    return [Command(words, shown.strip("\n")) for words, _, shown in parts]


#: What differs each time: ids, names of engines, numbers, addresses; and columns' widths.
_VARYING = re.compile(
    r"(?P<id>[0-9a-f]{32})|(?P<url>\b(?:embedded:|redis://|unix://)\S*)|(?P<number>\d[\d.,]*)"
    r"|(?P<space>\s+)|(?P<left_out>…)"
)
_PATTERNS = {
    "id": "[0-9a-f]{32}", "url": r"\S+", "number": r"\d[\d.,]*", "space": r"\s+", "left_out": ".*",
}  # fmt: skip


def shape(shown: str) -> re.Pattern[str]:
    """What all outputs have in common that this is an example of."""
    pattern, end = "", 0
    for found in _VARYING.finditer(shown):
        pattern += re.escape(shown[end : found.start()]) + _PATTERNS[str(found.lastgroup)]
        end = found.end()
    return re.compile(pattern + re.escape(shown[end:]))
