"""Segments of another process, which here is this one: what is opened, mapped, changed and let go of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mesh.segments.opening import open_segment
from mesh.segments.pool import Lease, Pool
from mesh.segments.view import View

SIZE = 1024 * 1024


@pytest.fixture
def lease() -> Lease:
    lent = Pool(2 * SIZE).lend(SIZE)
    assert lent is not None
    lent.write(0, memoryview(b"content" * 1000))
    return lent


def _mapped() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:mesh-segment")


def test_the_receiver_reads_what_was_sent_and_writes_for_itself(lease: Lease) -> None:
    view = View(lease.offer(), lambda _: None)
    memory = view.view()
    assert bytes(memory[:7]) == b"content"
    memory[:7] = b"changed"
    assert lease.read(0, 7) == b"content"
    assert view.read(0, 7) == b"content", "what is passed on is what was sent"
    assert bytes(memory[:7]) == b"changed"


def test_it_is_gone_when_the_last_view_is_and_not_before(lease: Lease) -> None:
    gone: list[bool] = []
    view = View(lease.offer(), gone.append)
    part = view.view()[10:20]
    del view
    assert (gone, _mapped()) == ([], 1)
    del part
    assert (gone, _mapped()) == ([False], 0)


def test_gone_is_told_in_whatever_thread_lets_go_last(lease: Lease) -> None:
    gone: list[int] = []
    held = [View(lease.offer(), lambda _: gone.append(threading.get_ident()))]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert gone
    assert gone != [threading.get_ident()]


def test_no_descriptor_is_held_by_what_is_mapped(lease: Lease) -> None:
    before = os.listdir("/proc/self/fd")
    views = [View(lease.offer(), lambda _: None) for _ in range(50)]
    assert os.listdir("/proc/self/fd") == before
    del views


def test_whoever_passes_it_on_offers_a_descriptor_of_its_own(lease: Lease) -> None:
    gone: list[bool] = []
    view = View(lease.offer(), gone.append)
    offered = view.offer()
    assert offered is not None
    assert offered.descriptor != lease.offer().descriptor
    further = View(offered, lambda _: None)
    assert bytes(further.view()[:7]) == b"content"
    view.spoil()
    del view
    assert gone == [True], "somebody further away may still read it"
    with pytest.raises(OSError, match=r"No such file|another file"):
        open_segment(offered)


def test_another_file_under_the_same_number_is_not_opened(lease: Lease) -> None:
    reference = lease.offer()
    before = os.listdir("/proc/self/fd")
    reference.inode += 1
    with pytest.raises(OSError, match=f"descriptor {reference.descriptor} of process {os.getpid()} is another file"):
        View(reference, lambda _: None)
    assert os.listdir("/proc/self/fd") == before


def test_a_process_may_end_with_views_in_use() -> None:
    script = (
        "import sys\n"
        "from mesh.segments.pool import Pool\n"
        "from mesh.segments.view import View\n"
        "lease = Pool(1 << 20).lend(1 << 20)\n"
        "sys.kept = View(lease.offer(), print).view()\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stderr == b""
