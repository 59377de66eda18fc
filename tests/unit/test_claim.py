"""One deploys at a time; whoever comes meanwhile is told who it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh.claim import claimed
from mesh.errors import DeployInProgress


def test_a_second_claim_is_refused_with_who_holds_the_first(tmp_path: Path) -> None:
    with claimed(str(tmp_path), "shop", "first.py (pid 12)"):
        with (
            pytest.raises(DeployInProgress, match=r"application 'shop' is being deployed by first.py \(pid 12\)"),
            claimed(str(tmp_path), "shop", "second.py (pid 13)"),
        ):
            raise AssertionError("two at a time")
        with claimed(str(tmp_path), "cafe", "second.py (pid 13)"):
            pass
    with claimed(str(tmp_path), "shop", "x"):
        assert (tmp_path / "deploying-shop").read_text() == "x"


def test_a_claim_ends_with_its_holder(tmp_path: Path) -> None:
    if (pid := os.fork()) == 0:
        claimed(str(tmp_path), "shop", "dead.py").__enter__()
        os._exit(0)
    os.waitpid(pid, 0)
    with claimed(str(tmp_path), "shop", "alive.py"):
        pass
