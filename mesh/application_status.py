"""What is wished for and what is there, as values for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mesh.engine.places import LivingMesh
from mesh.v1 import controller_pb2 as pb


class Phase(IntEnum):
    """Where an application or a deployment is in its life."""

    DEPLOYING = pb.PHASE_DEPLOYING
    RUNNING = pb.PHASE_RUNNING
    DEPLOY_FAILED = pb.PHASE_DEPLOY_FAILED
    DELETING = pb.PHASE_DELETING


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica: ``state`` is STARTING, RUNNING, DRAINING or STOPPED; ``pid`` is 0 before it is known.

    ``message`` says what its object complains of while it serves: a user_config refused, a health check that failed.
    ``why`` says why it drains.
    """

    replica_id: str
    state: str
    pid: int
    in_state_s: float
    rank: int = 0
    message: str = ""
    revision: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """One deployment; ``message`` holds the last error with its traceback.

    Of one that autoscales ``scaling`` says why ``num_replicas`` is what it is, decided ``scaled_ago_s`` seconds ago.
    ``revision`` is wished for; ``serving`` are more than one while an update with a small ``max_surge`` goes on.
    """

    name: str
    phase: Phase
    message: str
    failed_starts: int
    restarts: int
    num_replicas: int
    replicas: tuple[ReplicaStatus, ...]
    scaling: str = ""
    scaled_ago_s: float = 0.0
    in_phase_s: float = 0.0
    revision: str = ""
    serving: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplicationStatus:
    """One application; ``route_prefix`` is None when it has no place in HTTP."""

    name: str
    phase: Phase
    message: str
    route_prefix: str | None
    driver: str
    deployments: tuple[DeploymentStatus, ...]
    in_phase_s: float = 0.0

    @classmethod
    def from_proto(cls, message: pb.ApplicationStatus) -> ApplicationStatus:
        return cls(
            name=message.name,
            phase=Phase(message.phase),
            message=message.message,
            route_prefix=message.route_prefix if message.HasField("route_prefix") else None,
            driver=message.driver,
            deployments=tuple(_deployment(deployment) for deployment in message.deployments),
            in_phase_s=message.in_phase_s,
        )


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """A whole mesh. ``url`` is where HTTP answers, empty without HTTP; ``owner_pid`` is the script that started it.
    That many ``bridges`` answer there.

    ``trouble`` says what keeps its controller from its work, such as a disk that is full.
    ``grpc_address`` is where the door listens, as "host:port"; empty without one. A detached mesh has a ``name``;
    its ``owner_pid`` is of the process that started it, which may have ended.
    """

    url: str
    owner_pid: int
    engine_pid: int
    run_directory: str
    applications: tuple[ApplicationStatus, ...]
    grpc_address: str = ""
    name: str = ""
    bridges: int = 0
    trouble: str = ""

    @classmethod
    def of(cls, mesh: LivingMesh, status: pb.Status) -> MeshStatus:
        """What a mesh has published about itself, with what its controller says."""
        return cls(
            url=f"{mesh.url}/" if mesh.url else "",
            grpc_address=f"{mesh.grpc_host}:{mesh.grpc_port}" if mesh.grpc_port else "",
            owner_pid=mesh.pid,
            engine_pid=mesh.engine_pid,
            run_directory=mesh.run_directory,
            name=mesh.name,
            bridges=mesh.bridges,
            trouble=status.trouble,
            applications=tuple(ApplicationStatus.from_proto(application) for application in status.applications),
        )


def _deployment(message: pb.DeploymentStatus) -> DeploymentStatus:
    return DeploymentStatus(
        name=message.name,
        phase=Phase(message.phase),
        message=message.message,
        failed_starts=message.failed_starts,
        restarts=message.restarts,
        num_replicas=message.num_replicas,
        replicas=tuple(
            ReplicaStatus(
                replica_id=replica.replica_id,
                state=pb.ReplicaState.Name(replica.state).removeprefix("REPLICA_STATE_"),
                pid=replica.pid,
                in_state_s=replica.in_state_s,
                rank=replica.rank,
                message=replica.message,
                revision=replica.revision,
                why=replica.why,
            )
            for replica in message.replicas
        ),
        scaling=message.scaling,
        scaled_ago_s=message.scaled_ago_s,
        in_phase_s=message.in_phase_s,
        revision=message.revision,
        serving=tuple(message.serving),
    )
