"""The fenced blocks of a page, and what is wrong with them. Nothing here runs any.

``python``, ``yaml`` and ``toml`` blocks are files: their first line is ``# name.py``. A ``console`` block holds
commands after ``$ `` and, below each, what it prints; ``...`` stands for what varies, on a line of its own for any
lines. ``^C`` below the output of what goes on ends it. ``text`` is no code.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FILES: Final = ("python", "yaml", "toml")
WITHOUT_CODE: Final = ("text", "mermaid")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w.-]+\.(?:py|ya?ml|toml))\n.*", re.DOTALL)
_INDENTED = re.compile(r"^(?![ ]*(?:[-*]|\d+\.) )\S[^\n]*\n\n {4}(\S[^\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: ``line`` is that of its fence."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> tuple[str, str] | None:
        """The name and the content of the file that it is; None for a block that is none, or does not say its name."""
        found = _FILE.fullmatch(self.text)
        return (found[1], self.text) if found and self.language in FILES else None


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed after ``$ ``, and what is expected to be printed; ``ends`` says that Ctrl-C ends it there."""

    typed: str
    expected: str
    line: int
    ends: bool = False


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page in their order."""
    return [
        Block(found["language"], textwrap.dedent(found["text"]), text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def files_of(blocks: list[Block]) -> dict[str, str]:
    """The files of a page by name. A name that comes twice is a mistake, see :func:`mistakes`."""
    return dict(block.file for block in blocks if block.file)


def commands_of(blocks: list[Block]) -> list[Command]:
    """The commands of a page in their order."""
    return [command for block in blocks if block.language == "console" for command in _commands(block)]


def mistakes(text: str) -> Iterator[str]:
    """What keeps blocks of a page from being run, or run as they are shown."""
    blocks, names = blocks_of(text), []
    for block in blocks:
        if block.language in FILES:
            if block.file is None:
                yield f"line {block.line}: a {block.language} block begins with the name of its file, as in `# shop.py`"
            else:
                names.append(block.file[0])
        elif block.language == "console":
            if not block.text.startswith("$ "):
                yield f"line {block.line}: a console block begins with `$ ` and a command"
        elif block.language not in WITHOUT_CODE:
            known = ", ".join((*FILES, "console", *WITHOUT_CODE))
            yield f"line {block.line}: a block is one of {known}, not {block.language or 'one without a language'!r}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two blocks are called {name}"
    outside = _FENCE.sub("", text)
    yield from (f"code is fenced, not indented: {found[1]}" for found in _INDENTED.finditer(outside))


def unused_files(blocks: list[Block]) -> set[str]:
    """The files that no command of the page names, and no file that one names imports."""
    files = files_of(blocks)
    typed = "\n".join(command.typed for command in commands_of(blocks))
    used: set[str] = set()
    found = {name for name in files if _mentions(typed, name)}
    while found:
        used |= found
        code = "\n".join(files[name] for name in found)
        found = {name for name in files if name not in used and _mentions(code, name)}
    return files.keys() - used - {"pyproject.toml"}  # tools read that one without being told


def _mentions(text: str, name: str) -> bool:
    """It says the name of the file, or of the module that it is."""
    stem = re.escape(name.removesuffix(".py"))
    return re.search(rf"(?<![\w.]){stem}(?![\w])", text) is not None


def _commands(block: Block) -> Iterator[Command]:
    line = block.line + 1
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        typed = 1 + next((n for n, one in enumerate(lines) if not one.endswith("\\")), 0)
        ends = lines[-1] == "^C"
        expected = lines[typed : -1 if ends else None]
        yield Command("\n".join(lines[:typed]), "\n".join(expected).strip("\n"), line, ends)
        line += len(lines)
