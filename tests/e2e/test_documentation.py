"""The code of README.md and of the pages in docs/, cut out and run.

A block of Python there begins with the name of its file; here each page gets a folder with all of its files.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.commands import ROOT, meshctl, run_python, serving

_BLOCK = re.compile(r"^```(?:python|yaml)\n# (\w+\.(?:py|yaml))\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# A script of a page starts its mesh at port 8000, which may be taken where the tests run.
_FREE_PORT = "import mesh\n\nmesh.start(http_options=mesh.HTTPOptions(port=0))\n"


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    return _write_files("README.md", tmp_path)


@pytest.fixture
def key_concepts(tmp_path: Path) -> Path:
    return _write_files("docs/key_concepts.md", tmp_path)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    return _write_files("docs/configuration.md", tmp_path)


@pytest.fixture
def meshctl_page(tmp_path: Path) -> Path:
    return _write_files("docs/meshctl.md", tmp_path)


@pytest.fixture
def deployment_features(tmp_path: Path) -> Path:
    return _write_files("docs/deployment_features.md", tmp_path)


def _write_files(page: str, folder: Path) -> Path:
    text = (ROOT / page).read_text()
    blocks = _BLOCK.findall(text)
    assert len(blocks) == text.count("```python") + text.count("```yaml"), (
        f"a block of {page} does not begin with the name of its file"
    )
    for name, code in blocks:
        (folder / name).write_text(code)
    return folder


def _run_script(script: Path) -> str:
    code = script.read_text()
    free = script.with_name(f"at_free_port_{script.name}")
    free.write_text(_FREE_PORT + code)
    ended = run_python(free.name, cwd=script.parent)
    assert ended.code == 0, ended.stderr
    return ended.stdout


def _ask(url: str, body: str | None = None) -> str:
    return str(urlopen(url, body.encode() if body is not None else None, timeout=30).read().decode())


def test_readme_fastapi(readme: Path) -> None:
    with serving("web:node", cwd=readme) as running:
        assert _ask(f"{running.url}/times/14") == "42"
        assert running.stop().code == 0


def test_readme_first_deployment(readme: Path) -> None:
    with serving("hello:node", cwd=readme) as running:
        assert _ask(f"{running.url}/?name=Ada") == "Hello, Ada!"
        assert _ask(running.url) == "Hello, stranger!"
        assert running.stop().code == 0


def test_readme_call_by_handle(readme: Path) -> None:
    assert _run_script(readme / "call_hello.py") == "Hello, Ada!\n"


def test_readme_deployments_that_call_each_other(readme: Path) -> None:
    with serving("shop:node", cwd=readme) as running:
        assert _ask(running.url, '{"article": "tea", "count": 2}') == '{"total":6.0}'


def test_readme_first_graph(readme: Path) -> None:
    with serving("thermostat:graph", cwd=readme) as running:
        assert _ask(running.url, "50") == "10.0"


def test_key_concepts_deployment(key_concepts: Path) -> None:
    with serving("sentiment:node", cwd=key_concepts) as running:
        assert _ask(f"{running.url}/?text=good%20grief") == "0.5"


@pytest.mark.feature("57")
def test_key_concepts_stream(key_concepts: Path) -> None:
    assert _run_script(key_concepts / "countdown.py") == "[3, 2, 1]\n1000000\n999999\n"


def test_key_concepts_two_applications(key_concepts: Path) -> None:
    assert _run_script(key_concepts / "two_applications.py") == "mild /mild\nstrict /strict\n"


def test_key_concepts_by_handle(key_concepts: Path) -> None:
    assert _run_script(key_concepts / "ask_by_handle.py") == "[1.0, 0.0]\n[1.0, 0.0]\n"


def test_key_concepts_graph(key_concepts: Path) -> None:
    # the title scores 1, the text 1/3
    assert _run_script(key_concepts / "review.py") == "0.5\n"


@pytest.mark.feature("28")
def test_readme_deployments_one_by_one(readme: Path) -> None:
    assert _run_script(readme / "tellers.py") == (
        "{'hello': Deployment(name=hello,version=None,route_prefix=/hello), "
        "'hi': Deployment(name=hi,version=None,route_prefix=/hi)}\nHi!\n"
    )


@pytest.mark.feature("65")
def test_configuration_file(configuration: Path) -> None:
    with serving("cafe.yaml", cwd=configuration) as running:
        assert _ask(f"{running.url}/evening?bean=arabica") == "Good evening: roasted arabica"
        assert _ask(f"{running.url}/morning?bean=robusta") == "Good morning: roasted robusta"
        assert "Roast  2 replicas" in running.stop().stdout


def test_configuration_mistake(configuration: Path) -> None:
    file = configuration / "cafe.yaml"
    lines = ["# cafe.yaml\n", *file.read_text().splitlines(keepends=True)]  # the page's block begins with its name
    file.write_text("".join(lines).replace("num_replicas", "num_replica"))
    ended = meshctl("deploy", "cafe.yaml", cwd=configuration)
    shown = re.search(r"meshctl: (cafe\.yaml:.*?) \.\.\.$", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    assert shown is not None
    assert shown.group(1) in ended.stderr


@pytest.mark.feature("63")
def test_meshctl_builder(meshctl_page: Path) -> None:
    with serving("shop:build", "discount=0.5", cwd=meshctl_page) as running:
        assert _ask(f"{running.url}/?article=tea") == "1.5"


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        pytest.param("shards.py", "0 ['tea', 'rice']\n1 ['coffee', 'salt']\n", id="get_replica_context"),
        pytest.param("thresholds.py", "True\nFalse\n", id="user_config"),
        pytest.param("watched.py", "6.0\n", id="check_health"),
        pytest.param("batched.py", "".join(f"{n} in a batch of 3\n" for n in (1.5, 2.5, 3.5)), id="batch"),
        pytest.param("zoo.py", "OWL says 7\nBEAR says 7\nOWL says 7\n", id="multiplexed"),
    ],
)
def test_deployment_features(deployment_features: Path, script: str, printed: str) -> None:
    assert _run_script(deployment_features / script) == printed


def test_routing(tmp_path: Path) -> None:
    assert _run_script(_write_files("docs/routing.md", tmp_path) / "overload.py") == "done\n2 of 5 were refused\n"


def test_testing_is_a_page_of_tests_that_pass(tmp_path: Path) -> None:
    folder = _write_files("docs/testing.md", tmp_path)
    ended = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert (ended.code, "5 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr
