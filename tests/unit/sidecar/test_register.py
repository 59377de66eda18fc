"""A replica's line says the present state whenever it begins, and hears what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from mesh.config import DeploymentConfig
from mesh.errors import MeshUnavailable
from mesh.v1 import controller_pb2 as pb
from sidecar import register
from sidecar.register import Registration


class FakeController:
    """Takes one line after the other; ``cut`` breaks the present one."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[pb.AttachRequest] = asyncio.Queue()
        self.commands: asyncio.Queue[pb.AttachResponse | None] = asyncio.Queue()
        self.gone = False

    async def attach(self, reports: AsyncGenerator[pb.AttachRequest, None]) -> AsyncGenerator[pb.AttachResponse, None]:
        if self.gone:
            raise MeshUnavailable("no controller")
        reading = asyncio.ensure_future(self._read(reports))
        try:
            while True:
                command = asyncio.ensure_future(self.commands.get())
                await asyncio.wait((reading, command), return_when=asyncio.FIRST_COMPLETED)
                if not command.done():
                    command.cancel()
                    return
                if (response := command.result()) is None:
                    raise MeshUnavailable("cut")
                yield response
        finally:
            reading.cancel()

    def cut(self) -> None:
        self.commands.put_nowait(None)

    async def _read(self, reports: AsyncGenerator[pb.AttachRequest, None]) -> None:
        async for report in reports:
            self.heard.put_nowait(report)


def ignore(_: object) -> None:
    """Nothing is to be done about it."""


def registration(
    controller: FakeController,
    on_drain: Callable[[float], None] = ignore,
    on_configure: Callable[[DeploymentConfig], None] = ignore,
) -> Registration:
    return Registration(controller, "Model#1", on_drain, on_configure)


async def test_each_state_is_said_with_the_replicas_id() -> None:
    controller = FakeController()
    async with registration(controller) as line:
        line.starting(7)
        first = await controller.heard.get()
        line.ready(7, "unix:/run/r-1.sock")
        second = await controller.heard.get()
        line.draining()
        third = await controller.heard.get()
    assert (first.replica_id, first.starting.pid) == ("Model#1", 7)
    assert (second.ready.pid, second.ready.address) == (7, "unix:/run/r-1.sock")
    assert third.HasField("draining")


async def test_a_line_that_broke_is_opened_again_with_the_present_state() -> None:
    controller = FakeController()
    async with registration(controller) as line:
        line.starting(7)
        await controller.heard.get()
        line.ready(7, "unix:/run/r-1.sock")
        await controller.heard.get()
        for _ in range(2):
            controller.cut()
            assert (await controller.heard.get()).HasField("ready")


async def test_what_is_wanted_is_heard() -> None:
    controller = FakeController()
    drains: asyncio.Queue[float] = asyncio.Queue()
    configs: asyncio.Queue[DeploymentConfig] = asyncio.Queue()
    config = DeploymentConfig(max_ongoing_requests=3)
    async with registration(controller, drains.put_nowait, configs.put_nowait) as line:
        line.ready(7, "")
        controller.commands.put_nowait(pb.AttachResponse(configure=pb.ConfigureCommand(config=config.to_proto())))
        assert await configs.get() == config
        controller.commands.put_nowait(pb.AttachResponse(drain=pb.DrainCommand(timeout_s=2.5)))
        assert await drains.get() == 2.5


async def test_a_failure_is_delivered_before_the_replica_goes_on() -> None:
    controller = FakeController()
    async with registration(controller) as line:
        line.starting(7)
        await line.failed("ValueError: no model", "Traceback ...")
        heard = [controller.heard.get_nowait() for _ in range(controller.heard.qsize())]
    assert (heard[-1].failed.message, heard[-1].failed.traceback) == ("ValueError: no model", "Traceback ...")


async def test_a_failure_that_nobody_hears_holds_the_replica_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(register, "FAILURE_DELIVERY_S", 0.01)
    controller = FakeController()
    controller.gone = True
    async with registration(controller) as line:
        await line.failed("ValueError: no model", "Traceback ...")
    assert controller.heard.empty()


async def test_an_error_in_what_is_called_is_not_swallowed() -> None:
    controller = FakeController()

    def on_drain(timeout_s: float) -> None:
        called.set_result(None)
        raise ZeroDivisionError

    async def hear() -> None:
        async with registration(controller, on_drain) as line:
            line.ready(7, "")
            controller.commands.put_nowait(pb.AttachResponse(drain=pb.DrainCommand(timeout_s=2.5)))
            await called

    called = asyncio.get_running_loop().create_future()
    with pytest.raises(ZeroDivisionError):
        await hear()
