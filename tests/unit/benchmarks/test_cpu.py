"""CPU time is counted over real processes: one that lives, one below it that has ended, one that only waits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.cpu import count_cpu, cpu_s, tree_cpu_s

BURNED_S = 0.3
BURN = f"import time\nwhile time.process_time() < {BURNED_S}: pass\n"
SAY_AND_WAIT = "print('done', flush=True)\nimport sys; sys.stdin.read()\n"
RUN_ANOTHER = "import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', {script!r}], check=True)\n"


@contextmanager
def child(script: str) -> Iterator[int]:
    """A process that runs ``script``, says so, and waits; its pid from then on."""
    command = [sys.executable, "-S", "-c", script + SAY_AND_WAIT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        yield process.pid
        process.communicate()


@pytest.mark.parametrize(
    "script", [BURN, RUN_ANOTHER.format(script=BURN)], ids=["by itself", "by a child of its own that has ended"]
)
def test_time_of_a_living_process_is_counted(script: str) -> None:
    with child(script) as pid:
        assert tree_cpu_s(pid) == pytest.approx(BURNED_S, rel=1.0)
        assert tree_cpu_s(pid) > BURNED_S * 0.9


def test_time_below_this_process_is_counted_whether_it_lives_or_has_ended() -> None:
    elapsed_s = count_cpu()
    with child(BURN):
        assert elapsed_s() > BURNED_S * 0.9
    assert elapsed_s() > BURNED_S * 0.9


def test_only_what_was_used_since_the_beginning_is_counted() -> None:
    with child(BURN):
        elapsed_s = count_cpu()
        assert elapsed_s() < BURNED_S / 2


def test_process_that_is_gone_has_none_of_its_own() -> None:
    with child("") as pid:
        pass
    assert cpu_s(pid) == 0.0
