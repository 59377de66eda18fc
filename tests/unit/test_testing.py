"""The fakes keep the promises of what they stand for."""

from __future__ import annotations

import pytest

from mesh.engine.launcher import LaunchFailed
from mesh.testing import FakeClock, FakeLauncher
from mesh.v1 import engine_pb2 as pb


class TestFakeLauncher:
    """What :class:`mesh.engine.launcher.Launcher` says of all launchers."""

    @pytest.fixture
    def exits(self) -> list[tuple[str, int, int]]:
        return []

    @pytest.fixture
    def launcher(self, exits: list[tuple[str, int, int]]) -> FakeLauncher:
        return FakeLauncher(lambda *exit: exits.append(exit))

    async def test_what_was_launched_is_listed_under_its_pid(self, launcher: FakeLauncher) -> None:
        pids = {name: await launcher.launch(pb.Launch(process_id=name)) for name in ("A#1", "A#2")}
        assert await launcher.list() == pids
        assert len(set(pids.values())) == 2

    async def test_a_name_in_use_is_refused(self, launcher: FakeLauncher) -> None:
        await launcher.launch(pb.Launch(process_id="A#1"))
        with pytest.raises(LaunchFailed, match="A#1"):
            await launcher.launch(pb.Launch(process_id="A#1"))

    async def test_a_kill_has_its_exit_reported_once(
        self, launcher: FakeLauncher, exits: list[tuple[str, int, int]]
    ) -> None:
        pid = await launcher.launch(pb.Launch(process_id="A#1"))
        await launcher.kill("A#1")
        await launcher.kill("A#1")
        assert (exits, await launcher.list()) == ([("A#1", pid, -9)], {})

    async def test_it_refuses_when_told_to(self, launcher: FakeLauncher) -> None:
        launcher.refusal = "no memory"
        with pytest.raises(LaunchFailed, match="no memory"):
            await launcher.launch(pb.Launch(process_id="A#1"))
        assert (await launcher.list(), launcher.requests) == ({}, [])


def test_a_fake_clock_never_goes_back() -> None:
    clock = FakeClock(5.0)
    clock.advance(0.5)
    with pytest.raises(ValueError, match="at least 0 seconds"):
        clock.advance(-1)
    assert clock.now_s() == 5.5
