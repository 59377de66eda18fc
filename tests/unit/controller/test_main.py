"""What the controller's process is made of."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from mesh.controller.__main__ import FATAL, describe_exit, main, publish_socket
from mesh.engine.child import Child


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "ended with exit code 0"), (3, "ended with exit code 3"), (-9, "was ended by SIGKILL"), (-99, "signal 99")],
)
def test_an_exit_is_told_in_words(status: int, text: str) -> None:
    assert text in describe_exit(status)


def test_clients_find_the_newest_controller_and_no_socket_of_a_dead_one_stays(tmp_path: Path) -> None:
    for incarnation in (1, 2):
        (tmp_path / f"controller-{incarnation}.sock").touch()
        publish_socket(tmp_path, f"controller-{incarnation}.sock")
    assert (tmp_path / "controller.sock").readlink() == Path("controller-2.sock")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["controller-2.sock", "controller.sock"]


def test_a_controller_without_its_store_says_so_and_wants_no_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "store" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = Child("controller", 1, b"", str(tmp_path), "token", engine_socket=theirs)
        assert main(child) == FATAL == 3
    assert "another controller works on the store" in capsys.readouterr().err
