"""Every mistake in a config file is told with its line, its place and what would be right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mesh.config import DeploymentConfig
from mesh.config_files import schema
from mesh.config_files.reading import read_config, read_config_file
from mesh.errors import ConfigError

WHOLE = """\
http_options:
  port: 8080
grpc_options:
  port: null
applications:
- name: shop
  route_prefix: /shop
  import_path: shop:build
  args: {greeting: Hi, count: 2}
  deployments:
  - name: Prices
    num_replicas: 4
    version: "2"
    request_timeout_s: null
- name: hidden
  route_prefix: null
  import_path: shop:node
"""


@pytest.mark.feature("65")
def test_a_file_with_everything() -> None:
    config, _ = read_config(WHOLE, "shop.yaml")
    assert config.http_options is not None
    assert config.http_options.given() == {"port": 8080}
    assert config.grpc_options is not None
    assert config.grpc_options.given() == {"port": None}
    shop, hidden = config.applications
    assert (shop.name, shop.route_prefix, shop.import_path) == ("shop", "/shop", "shop:build")
    assert shop.args == {"greeting": "Hi", "count": 2}
    assert shop.deployments[0].given() == {
        "name": "Prices",
        "num_replicas": 4,
        "version": "2",
        "request_timeout_s": None,
    }
    assert (hidden.route_prefix, hidden.deployments) == (None, [])


def test_the_least_that_a_file_has() -> None:
    config, _ = read_config("applications: [{import_path: 'shop:node'}]", "shop.yaml")
    (application,) = config.applications
    assert (application.name, application.route_prefix, application.args) == ("default", "/", {})


APPLICATION = "applications:\n- import_path: a:b\n"


@pytest.mark.feature("65")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            APPLICATION + "  deployments:\n  - name: A\n    num_replica: 2\n",
            "x.yaml:5: applications[0].deployments[0].num_replica: there is no such key; did you mean num_replicas? "
            "allowed here: name, version, user_config, autoscaling_config, num_replicas,",
            id="unknown setting",
        ),
        pytest.param(
            APPLICATION + "  deployments:\n  - name: A\n    autoscaling_config: {min_replicas: 3, max_replicas: 2}\n",
            "x.yaml:5: applications[0].deployments[0].autoscaling_config: min_replicas=3 is more than max_replicas=2",
            id="bounds that contradict",
        ),
        pytest.param(
            APPLICATION + "  deployments:\n  - name: A\n    autoscaling_config: {max_replica: 2}\n",
            "x.yaml:5: applications[0].deployments[0].autoscaling_config.max_replica: there is no such key; did you "
            "mean max_replicas?",
            id="unknown setting of autoscaling",
        ),
        pytest.param(
            APPLICATION + "port: 8000\n",
            "x.yaml:3: port: there is no such key; allowed here: http_options, grpc_options, applications",
            id="unknown key at the top",
        ),
        pytest.param(
            APPLICATION + "http_options:\n  prt: 1\n",
            "x.yaml:4: http_options.prt: there is no such key; did you mean port? allowed here: host, port",
            id="unknown key of http_options",
        ),
        pytest.param(
            APPLICATION + "  deployments:\n  - name: A\n    num_replicas: two\n",
            "x.yaml:5: applications[0].deployments[0].num_replicas: Input should be a valid integer, not 'two'",
            id="wrong type",
        ),
        pytest.param(
            APPLICATION + "  deployments:\n  - name: A\n    num_replicas: 0\n",
            "x.yaml:5: applications[0].deployments[0].num_replicas: num_replicas must be a whole number from 1 to",
            id="impossible value",
        ),
        pytest.param(
            APPLICATION + "  route_prefix: shop\n",
            "x.yaml:3: applications[0].route_prefix: 'shop' cannot be a route prefix: it starts with a slash",
            id="impossible route prefix",
        ),
        pytest.param(
            APPLICATION + "  name: a b\n",
            "x.yaml:3: applications[0].name: 'a b' cannot be the name of an application",
            id="impossible name",
        ),
        pytest.param(
            APPLICATION + "http_options: {port: 70000}\n",
            "x.yaml:3: http_options.port: port must be 0 (any free one) or a whole number up to 65535, not 70000",
            id="impossible port",
        ),
        pytest.param(
            "applications:\n- name: a\n  route_prefix: /a\n",
            "x.yaml:2: applications[0].import_path: this key is missing",
            id="missing key",
        ),
        pytest.param(
            "applications:\n- name: a\n  import_path: a:b\n- name: b\n  import_path: c:d\n  route_prefix: /\n",
            "x.yaml:6: applications[1].route_prefix: '/' is the route prefix of application 'a' already",
            id="two applications on one route",
        ),
        pytest.param(
            APPLICATION + "- import_path: c:d\n  route_prefix: /c\n",
            "x.yaml:3: applications[1].name: applications[0] is called 'default' already",
            id="two applications of one name",
        ),
        pytest.param(
            APPLICATION + "  deployments:\n  - name: A\n  - num_replicas: 2\n    name: A\n",
            "x.yaml:6: applications[0].deployments[1].name: 'A' is there already",
            id="a deployment twice",
        ),
        pytest.param(
            APPLICATION + "  import_path: c:d\n",
            "x.yaml:2: applications[0].import_path: this key is there already",
            id="a key twice",
        ),
        pytest.param("applications: []\n", "x.yaml:1: applications: List should have at least 1 item", id="none"),
        pytest.param("a: [\n", "x.yaml:2: this is not YAML", id="no YAML"),
        pytest.param("- a\n", "x.yaml:1: a config file is a mapping with the key applications, not ['a']", id="list"),
        pytest.param("", "x.yaml:1: a config file is a mapping with the key applications, not None", id="empty"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_config(text, "x.yaml")
    assert str(raised.value).startswith(says)


def test_all_mistakes_are_told_in_the_order_of_their_lines() -> None:
    text = "applications:\n- nme: a\n  deployments:\n  - name: 3\nhost: x\n"
    with pytest.raises(ConfigError) as raised:
        read_config(text, "x.yaml")
    assert [line.split(": ")[0] for line in str(raised.value).splitlines()] == ["x.yaml:2"] * 2 + [
        "x.yaml:4",
        "x.yaml:5",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the config file .*none\.yaml: .*No such file"):
        read_config_file(tmp_path / "none.yaml")


def test_every_setting_of_the_code_can_be_in_a_file_with_its_default() -> None:
    entry = schema.DeploymentEntry(name="A")
    settings = {field.name: getattr(DeploymentConfig(), field.name) for field in dataclasses.fields(DeploymentConfig)}
    del settings["user_config_json"]  # in a file it is no text
    assert entry.model_dump() == {"name": "A", "version": None, "user_config": None, **settings}


@pytest.mark.feature("65")
def test_the_schema_for_editors_is_what_the_code_says() -> None:
    shipped = Path(schema.__file__).with_name("schema.json").read_text()
    assert shipped == schema.json_schema(), "write `meshctl config --schema` into mesh/config_files/schema.json"
