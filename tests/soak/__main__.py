"""What takes minutes to be seen: ``python -m tests.soak [name ...]``, which is ``make soak``.

A soak is a module of this package with ``SECONDS``, how long its load lasts unless ``--seconds`` says otherwise, and

    def main(seconds: float) -> Iterator[Figure]

which starts a mesh at a free port, puts it under load for that long, and yields what it has seen. It runs in a process
of its own; its mesh is ended behind it. The exit code is 1 when a hard figure was not reached or a soak failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from tests.soak.alone import SoakFailed, figures_of
from tests.soak.figure import HEAD, Figure, line


def soaks() -> dict[str, float]:
    """The names of all soaks, and how many seconds of load each has by itself."""
    modules = {
        found.name: importlib.import_module(f"tests.soak.{found.name}")
        for found in pkgutil.iter_modules([str(Path(__file__).parent)])
        if found.name != "__main__"
    }
    return {name: module.SECONDS for name, module in sorted(modules.items()) if hasattr(module, "SECONDS")}


def main(words: Sequence[str]) -> int:
    """Run the soaks that are named, or all; print their figures as they come."""
    known = soaks()
    arguments = _parse(words, known)
    figures: dict[str, list[Figure]] = {}
    failures: list[str] = []
    print(HEAD)
    for name in arguments.names or known:
        seconds = arguments.seconds or known[name]
        print(f"{name} ({seconds:g} s):", flush=True)
        begun_s, seen = monotonic(), figures.setdefault(name, [])
        try:
            for figure in figures_of(name, seconds):
                seen.append(figure)
                print(line(figure), flush=True)
        except SoakFailed as failure:
            failures.append(str(failure))
            print("  FAILED, see below", flush=True)
        print(f"  took {monotonic() - begun_s:.0f} s", flush=True)
    if arguments.json:
        found = {name: [figure.to_json() for figure in seen] for name, seen in figures.items()}
        arguments.json.write_text(json.dumps({"figures": found, "failures": failures}, indent=1) + "\n")
    missed = [f"{name}: {figure.what}" for name, seen in figures.items() for figure in seen if figure.failed]
    for message in (*failures, *(f"not reached: {what}" for what in missed)):
        print(message, file=sys.stderr)
    return 1 if failures or missed else 0


def _parse(words: Sequence[str], known: dict[str, float]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when none is named")
    parser.add_argument("--seconds", type=float, help="of load in each, instead of its own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.names) - known.keys():
        parser.error(f"there is no soak {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.seconds is not None and arguments.seconds <= 0:
        parser.error(f"--seconds must be above 0, not {arguments.seconds:g}")
    return arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
