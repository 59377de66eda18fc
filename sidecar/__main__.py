"""The process of a replica: builds the user's object, serves it, drains, exits."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from mesh import connect
from mesh.config import DeploymentConfig, DeploymentSpec
from mesh.context import ReplicaContext, enter_replica
from mesh.engine.child import Child
from mesh.loops import new_loop
from mesh.v1.deployment_pb2 import ReplicaLaunch
from sidecar.policy import ScalingPolicy
from sidecar.register import Registration, condition_message
from sidecar.replica import Replica
from sidecar.server import serving
from sidecar.user_code import ConstructionFailed, UserCode, enter_runtime

CONSTRUCTION_FAILED = 1
"""The exit code of a replica whose user's object could not be built."""


def main(child: Child) -> int:
    """Run a replica; see :class:`mesh.engine.child.Child`."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    launch = ReplicaLaunch.FromString(child.argument)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_run(child, launch))


async def _run(child: Child, launch: ReplicaLaunch) -> int:
    spec = DeploymentSpec.from_proto(launch.spec)
    connection = await connect.attach(child.run_directory, child.token)

    def read_blob(sha256: str) -> bytes:
        return (Path(launch.blob_directory) / sha256).read_bytes()

    user_code = UserCode(spec, read_blob)
    replica = Replica(ReplicaContext(spec.application, spec.name, launch.replica_id, launch.rank), spec, user_code)
    enter_replica(replica.surroundings)
    policy = ScalingPolicy(replica.surroundings.replica, spec.config, read_blob, replica.crossing.put)
    draining: asyncio.Future[float] = replica.loop.create_future()

    def drain(timeout_s: float) -> None:
        if not draining.done():
            draining.set_result(timeout_s)

    def configure(config: DeploymentConfig) -> None:
        policy.config = config
        replica.configure(config)

    replica.loop.add_signal_handler(signal.SIGTERM, drain, spec.config.graceful_shutdown_timeout_s)
    try:
        async with Registration(connection.client, launch.replica_id, drain, configure, policy.ask) as registration:
            registration.starting(os.getpid())
            enter_runtime(spec.runtime)  # after our own imports: no module of the user's takes their place
            building = asyncio.ensure_future(replica.build())
            await asyncio.wait((building, draining), return_when=asyncio.FIRST_COMPLETED)
            if not building.done():
                return 0  # not wanted any more before it was ready
            try:
                building.result()
            except ConstructionFailed as failure:
                sys.stderr.write(failure.traceback)
                await registration.failed(str(failure), failure.traceback)
                return CONSTRUCTION_FAILED
            async with serving(replica, launch.address, launch.socket_path, child.token, drain):

                def tell() -> None:
                    condition = condition_message(replica.condition)
                    registration.ready(os.getpid(), launch.address, condition, policy.answer)

                policy.tell = tell
                async with replica.looked_after(tell):
                    tell()
                    timeout_s = await draining
                policy.tell = _nothing
                registration.draining()
                await replica.drain(timeout_s)
    finally:
        replica.user_code.close()
        await connection.close()
    return 0


def _nothing() -> None:
    """Nobody has to hear of it any more."""


if __name__ == "__main__":
    sys.exit("a replica is started by the engine of a mesh; start one with mesh.run or `meshctl run module:node`")
