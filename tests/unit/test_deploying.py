"""What a deploy that fails leaves behind, and says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mesh.config import Application, ApplicationSpec, DeploymentSpec, Runtime
from mesh.deploying import deploy
from mesh.errors import DeployFailed, MeshUnavailable
from mesh.used_mesh import UsedMesh
from mesh.v1 import controller_pb2 as pb

SPEC = DeploymentSpec("app", "Model", Runtime("python", (), "/"), import_path="module:Model")


class FailingMesh:
    """A mesh on which nothing comes up, and whose store takes no deletion."""

    def __init__(self, run_directory: Path) -> None:
        self.living = SimpleNamespace(run_directory=str(run_directory))
        self.connection = SimpleNamespace(client=self)

    def ask(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(coroutine)

    async def applications(self) -> tuple[ApplicationSpec, ...]:
        return ()

    async def apply(self, application: Application) -> int:
        return 1

    async def delete(self, name: str) -> int:
        raise MeshUnavailable("the store cannot be written: no room")

    async def watch_status(self) -> AsyncGenerator[pb.Status, None]:
        failed = pb.DeploymentStatus(name="Model", phase=pb.PHASE_DEPLOY_FAILED, message="ValueError: the traceback")
        application = pb.ApplicationStatus(name="app", phase=pb.PHASE_DEPLOY_FAILED, deployments=[failed])
        yield pb.Status(revision=1, applications=[application])


def test_a_failure_is_told_although_what_failed_cannot_be_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = Application(ApplicationSpec("app", "Model", (SPEC,)), {})
    with pytest.raises(DeployFailed, match="ValueError: the traceback"):
        deploy(cast(UsedMesh, FailingMesh(tmp_path)), application)
    assert "'app' did not come up, and is still there: the store cannot be written: no room" in capsys.readouterr().err
