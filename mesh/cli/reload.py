"""``meshctl run --reload``: when a file changes, the code is imported again and deployed in the place of the old.

The old replicas serve until the new ones are there; a change that does not import or start leaves them as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mesh import deploying, meshes
from mesh.cli.applications import is_config_file
from mesh.config import Application
from mesh.errors import MeshError
from mesh.notices import show
from mesh.single_deploy import renewed

if TYPE_CHECKING:
    from mesh.cli.applications import Wanted
    from mesh.used_mesh import UsedMesh

LOOK_AT_MESH_MS = 500
"""How often it is looked whether the mesh still lives while no file changes."""


def deploy_changes(
    target: str, app_dir: Path, wanted: Wanted, load: Callable[[], Wanted], raise_swallowed: Callable[[], None]
) -> None:
    """Deploy what ``load`` gives after each change of a file, until the mesh has ended or a signal raises."""
    from watchfiles import PythonFilter, watch

    mesh = meshes.to_deploy_to()
    folders = {app_dir.resolve(), *((Path(target).resolve().parent,) if is_config_file(target) else ())}
    watched = PythonFilter(extra_extensions=(".yaml", ".yml"))
    looking = f"looking for changes in {', '.join(str(folder) for folder in sorted(folders))}"
    for changes in watch(*folders, watch_filter=watched, yield_on_timeout=True, rust_timeout=LOOK_AT_MESH_MS):
        raise_swallowed()
        if looking:  # said when it is true: the watch begins with its first round
            show(looking)
            looking = ""
        if not mesh.is_alive:
            return
        if changes:
            show(f"{', '.join(sorted({Path(path).name for _, path in changes}))} changed")
            forget_modules(app_dir)
            wanted = _deployed(mesh, wanted, load)
    raise_swallowed()  # the watch ends when a signal has come


def forget_modules(app_dir: Path) -> None:
    """Let everything that was imported from there be imported again; installed packages below it are left alone."""
    folder = app_dir.resolve()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name == "__main__" or name.partition(".")[0] in _OURS:
            continue
        path = Path(file)
        if path.is_relative_to(folder) and "site-packages" not in path.parts:
            del sys.modules[name]


_OURS = ("mesh", "sidecar", "http_bridge")


def _deployed(mesh: UsedMesh, before: Wanted, load: Callable[[], Wanted]) -> Wanted:
    """What is deployed now: what ``load`` gave or, where that failed, what there was before."""
    try:
        wanted = load()
        for application in wanted.applications:
            deploying.deploy(mesh, _renewed(application))
            show(f"{application.spec.name} is running as changed")
        names = {application.spec.name for application in wanted.applications}
        for application in before.applications:
            if application.spec.name not in names:
                deploying.delete(mesh, application.spec.name)
    except MeshError as error:
        show(f"{error}\nmesh: what ran before runs on")
        return before
    return wanted


def _renewed(application: Application) -> Application:
    """With new replicas for everything: a change may be in a module that only the changed replica would import."""
    deployments = tuple(renewed(spec) for spec in application.spec.deployments)
    return replace(application, spec=replace(application.spec, deployments=deployments))
