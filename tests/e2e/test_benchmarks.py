"""``python -m benchmarks`` gives its table and its JSON. What the figures are is nothing to test."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import table
from tests.e2e.commands import run_python


def test_one_benchmark_as_table_json_and_document(tmp_path: Path) -> None:
    figures, document = tmp_path / "figures.json", tmp_path / "performance.md"
    document.write_text(f"# Performance\n\n{table.BEGIN}\n{table.END}\n")
    ended = run_python(
        *("-m", "benchmarks", "--only", "generators", "--rounds", "1", "--quick"),
        *("--json", str(figures), "--markdown", str(document)),
    )
    assert ended.code == 0, ended.stderr
    written = json.loads(figures.read_text())
    assert written["failures"] == []
    assert written["machine"].keys() == {"system", "cpus", "python", "packages"}
    assert len(written["rows"]) == 6
    for row in written["rows"]:
        assert row["benchmark"] == "generators"
        assert row["mesh"]["median"] > 0
        assert len(row["rounds"]) == 1
        assert row["what"] in ended.stdout
        assert f"| {row['what']} | {row['unit']} |" in document.read_text()
        if row["unit"] == "items/s":
            assert row["ratio"]["lowest"] == row["ratio"]["median"] == row["ratio"]["highest"]
            assert row["rounds"][0]["baseline"]["cpu_us"] > 0
            assert row["rounds"][0]["mesh"]["cpu_us"] > 0
    stored = run_python("-m", "benchmarks", "--stored", str(figures))
    assert stored.stdout.splitlines()[-1] == ended.stdout.splitlines()[-1]


def test_streaming_is_read_to_its_end_on_both_sides(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    ended = run_python(
        *("-m", "benchmarks", "--only", "http_streams", "--rounds", "1", "--quick", "--json", str(figures))
    )
    assert ended.code == 0, ended.stderr
    written = json.loads(figures.read_text())
    assert [row["unit"] for row in written["rows"]] == [
        *("chunks/s", "chunks/s", "p50 ms"),
        *("p99 ms late", "p50 ms late", "worst ms late"),
    ]
    for row in written["rows"]:
        assert row["mesh"]["median"] > 0
        assert row["baseline"]["median"] > 0
        assert 0 < row["rounds"][0]["mesh"]["figures"]["client busy"] < 1


def test_unknown_benchmark_names_the_known() -> None:
    ended = run_python("-m", "benchmarks", "--only", "handel_calls")
    assert ended.code == 2
    assert "handle_calls" in ended.stderr
