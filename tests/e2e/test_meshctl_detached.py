"""``meshctl`` with a detached mesh: start, deploy, look, change, end; and config files, which are whole or nothing."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import mesh
from tests.e2e.commands import LIMIT_S, MESHCTL, ROOT, done, meshctl, serving, wait_until
from tests.e2e.running_mesh import RunningMesh

BROKEN = """
import mesh


@mesh.deployment
class Broken:
    def __init__(self):
        raise KeyError("sugar")


node = Broken.bind()
"""

TALKATIVE = """
import mesh


@mesh.deployment
class Talkative:
    def __init__(self):
        self.said = 0

    def say(self, lines):
        for _ in range(lines):
            print(f"line {self.said} {'x' * 1000}")
            self.said += 1


node = Talkative.bind()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    for file in ("shop.py", "shop.yaml"):
        shutil.copy(ROOT / "tests" / "services" / file, folder)
    (folder / "broken.py").write_text(BROKEN)
    (folder / "talkative.py").write_text(TALKATIVE)
    return folder


@pytest.fixture
def detached(detached_mesh: RunningMesh) -> Iterator[str]:
    """The address of a detached mesh with nothing deployed."""
    yield detached_mesh.url
    for application in mesh.status().applications:
        mesh.delete(application.name)


def _ask(url: str) -> Any:
    return json.loads(urlopen(url, timeout=30).read())


def _listed() -> dict[str, tuple[str, int]]:
    return {
        f"{application.name}/{deployment.name}": (deployment.phase.name, deployment.num_replicas)
        for application in mesh.status().applications
        for deployment in application.deployments
    }


def _pids(name: str) -> dict[str, int]:
    """The pids of an application's replicas by their ids."""
    (application,) = (one for one in mesh.status().applications if one.name == name)
    return {replica.replica_id: replica.pid for one in application.deployments for replica in one.replicas}


@pytest.mark.feature("64")
def test_deploy_upserts_one_application_and_leaves_the_others(detached: str, folder: Path) -> None:
    assert done("deploy", "shop:node", cwd=folder) == f"default is running at {detached}/\n"
    pids = _pids("default")
    done("deploy", "shop:build", "greeting=Hi", "times=2", "--name", "second", "--route-prefix", "/2", cwd=folder)
    assert (_ask(detached), _ask(f"{detached}/2")) == (["Hello", 3], ["HiHi", 3])
    done("deploy", "shop:build", "greeting=Ho", "--name", "second", "--route-prefix", "/2", cwd=folder)
    assert (_ask(detached), _ask(f"{detached}/2")) == (["Hello", 3], ["Ho", 3])
    assert _pids("default") == pids
    assert done("delete", "second", cwd=folder) == "second is gone\n"
    assert _listed() == {"default/Prices": ("RUNNING", 2), "default/Shop": ("RUNNING", 1)}


@pytest.mark.feature("64")
def test_scale_list_status_and_logs(detached: str, folder: Path) -> None:
    done("deploy", "shop:node", cwd=folder)
    before = _pids("default")
    assert done("scale", "Prices", "3", cwd=folder) == "Prices has 3 replicas\n"
    assert before.items() < _pids("default").items()
    assert ["Prices", "default", "RUNNING", "3/3"] in [line.split() for line in done("list", cwd=folder).splitlines()]
    shown = " ".join(done("status", cwd=folder).split())
    for replica_id, pid in _pids("default").items():
        assert f"{replica_id} RUNNING {pid}" in shown
    _ask(detached)
    wait_until(lambda: bool(re.search(r"^\(Prices#\w+\) asked for tea$", done("logs", "Prices", cwd=folder), re.M)))
    assert "asked for tea" in done("logs", cwd=folder)


@pytest.mark.feature("64")
@pytest.mark.usefixtures("detached")
def test_what_is_not_there_is_named_with_what_is(folder: Path) -> None:
    for command in (("scale", "Prices", "2"), ("delete", "default"), ("logs", "Nothing")):
        ended = meshctl(*command, cwd=folder)
        assert ended.code == 1
        assert re.search(r"there (is|are).*: ", ended.stderr), ended.stderr
    done("deploy", "shop:node", cwd=folder)
    assert "no deployment 'Price'; there are: Prices, Shop" in meshctl("scale", "Price", "2", cwd=folder).stderr
    ended = meshctl("scale", "Prices", "0", cwd=folder)
    assert (ended.code, ended.stderr) == (
        1,
        "meshctl: num_replicas must be a whole number from 1 to 4294967295, not 0\n",
    )
    assert meshctl("scale", "Prices", "two", cwd=folder).code == 2


@pytest.mark.feature("64")
def test_logs_are_followed_until_the_mesh_ends(detached: str, folder: Path) -> None:
    done("deploy", "shop:node", cwd=folder)
    with subprocess.Popen([MESHCTL, "logs", "-f"], cwd=folder, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            _ask(detached)
            assert re.match(r"\(Prices#\w+\) asked for tea", following.stdout.readline())
            following.send_signal(signal.SIGINT)
            assert following.wait(LIMIT_S) == 0
        finally:
            following.kill()


@pytest.mark.feature("64")
def test_logs_are_followed_through_files_that_are_full(detached: str, folder: Path) -> None:
    done("deploy", "talkative:node", "--route-prefix", "/talkative", cwd=folder)
    handle = mesh.get_deployment("Talkative").get_handle()
    command = [MESHCTL, "logs", "Talkative", "-f", "-n", "5000"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as following:
        try:
            assert following.stdout is not None
            for first in range(0, 2700, 900):  # a log file holds about 1,000 of these lines
                handle.say.remote(900).result(timeout_s=LIMIT_S)
                for number in range(first, first + 900):
                    assert following.stdout.readline().split()[1:3] == [b"line", b"%d" % number]
        finally:
            following.kill()
    shown = done("logs", "Talkative", "-n", "1500", cwd=folder).splitlines()
    assert [line.split()[2] for line in shown] == [str(number) for number in range(1200, 2700)]


@pytest.mark.feature("65")
def test_a_config_file_is_deployed_shown_and_deployed_again(detached: str, folder: Path, tmp_path: Path) -> None:
    done("deploy", "shop:node", "--name", "other", "--route-prefix", "/other", cwd=folder)
    printed = done("deploy", "shop.yaml", cwd=folder)
    assert printed == f"first is running at {detached}/first\nsecond is running at {detached}/second\n"
    assert [_ask(f"{detached}/{name}")[0] for name in ("first", "second", "other")] == ["HiHi", "Hello", "Hello"]
    listed = _listed()
    assert (listed["first/Prices"], listed["second/Prices"]) == (("RUNNING", 1), ("RUNNING", 2))
    pids = _pids("first")
    shown = done("config", cwd=folder)
    assert "max_ongoing_requests: 7" in shown
    (tmp_path / "again.yaml").write_text(shown)
    done("deploy", str(tmp_path / "again.yaml"), cwd=folder)
    assert _pids("first") == pids
    assert done("config", cwd=folder) == shown


@pytest.mark.feature("14")
def test_a_config_file_wins_over_options_and_these_over_the_decorator(detached: str, folder: Path) -> None:
    (folder / "layers.py").write_text(
        "import mesh\n\n@mesh.deployment(num_replicas=2, max_ongoing_requests=11, max_queued_requests=12)\n"
        "def layers():\n    return 1\n\nnode = layers.options(num_replicas=3, max_ongoing_requests=21).bind()\n"
    )
    (folder / "layers.yaml").write_text(
        "applications:\n- import_path: layers:node\n  deployments:\n  - {name: layers, num_replicas: 1}\n"
    )
    done("deploy", "layers.yaml", cwd=folder)
    (application,) = json.loads(done("config", "--json", cwd=folder))["applications"]
    assert application["deployments"] == [
        {"name": "layers", "num_replicas": 1, "max_ongoing_requests": 21, "max_queued_requests": 12}
    ]


@pytest.mark.feature("65")
def test_build_writes_a_file_that_deploys_the_same(detached: str, folder: Path, tmp_path: Path) -> None:
    done("build", "shop:build", "greeting=Hi", "times=2", "-o", str(tmp_path / "built.yaml"), cwd=folder)
    assert "num_replicas: 2" in (tmp_path / "built.yaml").read_text()
    done("deploy", str(tmp_path / "built.yaml"), cwd=folder)
    assert _ask(detached) == ["HiHi", 3]
    assert done("config", cwd=folder) == (tmp_path / "built.yaml").read_text()


@pytest.mark.feature("65")
@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param("import_path: nowhere:node", "bad.yaml:6: .*no module 'nowhere'", id="a module that is not there"),
        pytest.param("import_path: shop:nodes", "bad.yaml:6: .*no attribute 'nodes'; its nodes", id="no such node"),
        pytest.param(
            "import_path: failing:node", r"bad.yaml:6: (.|\n)*raise KeyError\('sugar'\)", id="a module that raises"
        ),
        pytest.param("import_path: shop:build", "bad.yaml:6: .*greeting is missing", id="arguments that lack"),
        pytest.param(
            "import_path: shop:node\n  deployments: [{name: Price}]",
            "bad.yaml:7: .*shop:node has no deployment 'Price'; it has Prices, Shop",
            id="a deployment that is not there",
        ),
        pytest.param(
            "import_path: shop:node\n  route_prefix: /other",
            "'/other': application 'other' has it; nothing was deployed",
            id="a route that is taken",
        ),
    ],
)
def test_a_file_that_is_wrong_anywhere_changes_nothing(detached: str, folder: Path, entry: str, says: str) -> None:
    done("deploy", "shop:node", "--name", "other", "--route-prefix", "/other", cwd=folder)
    before = _pids("other")
    (folder / "failing.py").write_text("raise KeyError('sugar')\n")
    text = f"applications:\n- name: good\n  route_prefix: /good\n  import_path: shop:node\n- name: bad\n  {entry}\n"
    (folder / "bad.yaml").write_text(text)
    ended = meshctl("deploy", "bad.yaml", cwd=folder)
    assert ended.code == 1
    assert re.search(says, ended.stderr), ended.stderr
    assert "mesh/cli" not in ended.stderr
    assert _pids("other") == before
    assert {name.partition("/")[0] for name in _listed()} == {"other"}


def test_an_application_that_does_not_start_is_shown_and_the_others_stay(detached: str, folder: Path) -> None:
    done("deploy", "shop:node", cwd=folder)
    ended = meshctl("deploy", "broken:node", "--name", "broken", "--route-prefix", "/broken", cwd=folder)
    assert ended.code == 1
    assert 'raise KeyError("sugar")' in ended.stderr
    assert {name.partition("/")[0] for name in _listed()} == {"default"}
    assert _ask(detached) == ["Hello", 3]


@pytest.mark.feature("64")
def test_one_of_two_meshes_is_chosen(detached: str, folder: Path) -> None:
    with serving("shop:node", cwd=folder) as running:
        ended = meshctl("status", cwd=folder)
        assert ended.code == 1
        assert "2 meshes are running" in ended.stderr
        assert "--mesh chooses one" in ended.stderr
        assert "nothing is deployed" in done("status", "--mesh", "default", cwd=folder)
        assert running.url in done("status", "--address", running.url.removeprefix("http://"), cwd=folder)
        assert done("scale", "Prices", "1", "--mesh", str(running.process.pid), cwd=folder) == "Prices has 1 replica\n"
        refused = meshctl("deploy", "shop:node", "--mesh", str(running.process.pid), cwd=folder)
        assert refused.code == 1
        assert f"(pid {running.process.pid}) and ends with it" in refused.stderr
        assert running.stop().code == 0
    assert "nothing is deployed" in done("status", cwd=folder)  # the end of one is no end of the other
