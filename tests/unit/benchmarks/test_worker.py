"""A benchmark that fails says why, and is over.

The worker is started from a process of its own: what multiprocessing leaves beside that would stay with the tests.
"""

from __future__ import annotations

import re
import subprocess
import sys

FAILING = """
import multiprocessing
from benchmarks.rounds import Plan
from benchmarks.worker import BenchmarkFailed, rows_of
try:
    list(rows_of("row", Plan()))  # a module of the package that is no benchmark
except BenchmarkFailed as failure:
    print(failure)
print("left:", multiprocessing.active_children())
"""


def test_what_a_benchmark_raises_comes_with_its_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60, check=True)
    assert re.search(r"row failed:\n(?s:.*)_send_rows(?s:.*)has no attribute 'measure'", ended.stdout), ended.stdout
    assert ended.stdout.endswith("left: []\n")
