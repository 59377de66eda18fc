"""Collapsed stacks, as py-spy writes them: where a process spent its time, by function and by our own files. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

OURS = ("mesh/", "sidecar/", "http_bridge/", "benchmarks/")

_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")


class Share(NamedTuple):
    """A part of the samples of a process, from 0 to 1."""

    what: str
    part: float


class Profile(NamedTuple):
    """Where the samples of one process fell."""

    samples: int
    functions: tuple[Share, ...]
    """By the function that ran, as "function (file)", most first."""
    files: tuple[Share, ...]
    """By the file of ours that ran or had called what ran, most first: the time of libraries is charged to us."""


def parse(collapsed: Iterable[str]) -> Profile:
    """The profile in lines of ``outermost;...;innermost count``, a frame being ``function (file:line)``.

    Stacks with another frame are left out: they changed while they were read.
    """
    functions: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for line in collapsed:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        frames = [(found["function"], found["file"]) for found in map(_FRAME.match, stack.split(";")) if found]
        if len(frames) <= stack.count(";"):
            continue
        function, file = frames[-1]
        functions[f"{function} ({file})"] += int(count)
        files[next((file for _, file in reversed(frames) if file.startswith(OURS)), "none of ours")] += int(count)
    samples = functions.total()
    return Profile(samples, _shares(functions, samples), _shares(files, samples))


def report(title: str, profile: Profile, number: int = 10) -> str:
    """The top functions by own time, then the files of ours that they were in or called from."""
    lines = [f"{title}: {profile.samples} samples"]
    for heading, shares in (("own time", profile.functions), ("by our file, with what it calls", profile.files)):
        lines.append(f"  {heading}")
        lines += [f"    {share.part:6.1%}  {share.what}" for share in shares[:number]]
    return "\n".join(lines)


def _shares(counted: Counter[str], samples: int) -> tuple[Share, ...]:
    return tuple(Share(what, count / samples) for what, count in counted.most_common())
