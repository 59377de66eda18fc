"""A benchmark that fails says why, and is over."""

from __future__ import annotations

import multiprocessing

import pytest

from benchmarks.rounds import Plan
from benchmarks.worker import BenchmarkFailed, rows_of


def test_what_a_benchmark_raises_comes_with_its_traceback() -> None:
    with pytest.raises(BenchmarkFailed, match=r"row failed:\n(?s:.*)_send_rows(?s:.*)has no attribute 'measure'"):
        list(rows_of("row", Plan()))  # a module of the package that is no benchmark
    assert multiprocessing.active_children() == []
