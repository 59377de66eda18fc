"""Collapsed stacks as shares of functions and of our files."""

from __future__ import annotations

from benchmarks.stacks import Share, parse, report

COLLAPSED = [
    "main (benchmarks/chain.py:10);send (mesh/carrier/unix_socket.py:90);dumps (json/__init__.py:231) 6",
    "main (benchmarks/chain.py:10);send (mesh/carrier/unix_socket.py:95) 3",
    "main (benchmarks/chain.py:12);take (mesh/router/session.py:80) 1\n",
]


def test_own_time_is_of_the_innermost_function() -> None:
    assert parse(COLLAPSED).functions == (
        Share("dumps (json/__init__.py)", 0.6),
        Share("send (mesh/carrier/unix_socket.py)", 0.3),
        Share("take (mesh/router/session.py)", 0.1),
    )


def test_time_of_libraries_is_charged_to_the_file_of_ours_that_called_them() -> None:
    assert parse(COLLAPSED).files == (Share("mesh/carrier/unix_socket.py", 0.9), Share("mesh/router/session.py", 0.1))


def test_time_of_others_threads_is_none_of_ours() -> None:
    assert parse(["run (threading.py:982);poll (selectors.py:3) 2"]).files == (Share("none of ours", 1.0),)


def test_stack_that_changed_while_it_was_read_is_left_out() -> None:
    assert parse([" (;send (mesh/carrier/unix_socket.py:95) 4", *COLLAPSED]).samples == 10


def test_function_without_line_and_lambda_in_a_class() -> None:
    [share] = parse(["Box.<locals>.<lambda> (<string>) 1"]).functions
    assert share.what == "Box.<locals>.<lambda> (<string>)"


def test_process_that_only_waited_has_no_samples() -> None:
    assert report("chain, bridge", parse([])).startswith("chain, bridge: 0 samples")


def test_report_has_the_first_of_each() -> None:
    lines = report("chain, driver", parse(COLLAPSED), number=1).splitlines()
    assert lines == [
        "chain, driver: 10 samples",
        "  own time",
        "     60.0%  dumps (json/__init__.py)",
        "  by our file, with what it calls",
        "     90.0%  mesh/carrier/unix_socket.py",
    ]
