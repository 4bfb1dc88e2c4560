from __future__ import annotations

import json
from typing import Any

import pytest
from dagster_multihost_launcher import run_tags, schema
from dagster_multihost_launcher.errors import LaunchError
from dagster_multihost_launcher.kwargs import create_arguments
from dagster_multihost_launcher.settings import RunTags
from hypothesis import given
from hypothesis import strategies as st

RULES = RunTags()


def read(rules: RunTags = RULES, **tags: str) -> run_tags.Wish:
    return run_tags.read({f"multihost/{name}": value for name, value in tags.items()}, rules)


def test_each_tag_becomes_its_argument() -> None:
    wish = read(
        memory="2g",
        cpus="1.5",
        gpus="all",
        shm_size="64m",
        user="1000:1000",
        stop_timeout="120",
        host="beta",
        labels="gpu=true, zone=a",
        container_kwargs='{"pids_limit": 100, "mem_limit": "1g"}',
    )
    assert wish.host == "beta"
    assert wish.labels == {"gpu": "true", "zone": "a"}
    host_config = create_arguments(wish.container_kwargs, networks=(), version="1.41")["host_config"]
    assert host_config["Memory"] == 2 * 2**30  # the tag of its own wins
    assert host_config["NanoCpus"] == 1_500_000_000
    assert host_config["ShmSize"] == 64 * 2**20
    assert host_config["PidsLimit"] == 100
    assert host_config["DeviceRequests"] == [
        {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert wish.container_kwargs["user"] == "1000:1000"
    assert wish.container_kwargs["stop_timeout"] == 120


def test_a_run_without_such_tags_asks_for_nothing() -> None:
    assert run_tags.read({"dagster/priority": "1", "team": "memory"}, RULES) == run_tags.Wish()


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("memory", "lots"),
        ("memory", "1k"),
        ("memory", "-1"),
        ("cpus", "0"),
        ("cpus", "nan"),
        ("cpus", "inf"),
        ("gpus", "-2"),
        ("gpus", "0"),
        ("shm_size", ""),
        ("user", "a b"),
        ("stop_timeout", "-1"),
        ("stop_timeout", "soon"),
        ("labels", "gpu"),
        ("container_kwargs", "{"),
        ("container_kwargs", "[]"),
    ],
)
def test_a_value_that_means_nothing_is_named_with_an_example(tag: str, value: str) -> None:
    with pytest.raises(LaunchError, match=rf"tag multihost/{tag} is '.*'. Write for instance "):
        read(**{tag: value})


REACHING_THE_HOST: dict[str, Any] = {
    "privileged": True,
    "volumes": ["/:/host"],
    "mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}],
    "volumes_from": ["daemon"],
    "network_mode": "host",
    "network": "host",
    "devices": ["/dev/sda:/dev/sda:rwm"],
    "device_cgroup_rules": ["a *:* rwm"],
    "cap_add": ["SYS_ADMIN"],
    "pid_mode": "host",
    "ipc_mode": "host",
    "uts_mode": "host",
    "userns_mode": "host",
    "cgroupns": "host",
    "cgroup_parent": "/",
    "security_opt": ["apparmor=unconfined"],
    "sysctls": {"kernel.shmmax": "1"},
    "runtime": "other",
    "ports": {"80": 80},
    "extra_hosts": {"db.mesh": "192.0.2.1"},
    "entrypoint": ["sh"],
    "labels": {"dagster/managed": "false"},
    "log_config": {"type": "none"},
    "auto_remove": True,
    "host_config": {"Privileged": True},
    "oom_score_adj": -1000,
    "group_add": ["docker"],
}


@pytest.mark.parametrize("argument", sorted(REACHING_THE_HOST))
def test_what_reaches_the_host_is_refused_in_every_spelling(argument: str) -> None:
    camel = "".join(part.capitalize() for part in argument.split("_"))
    for spelling in (
        argument,
        argument.upper(),
        argument.capitalize(),
        camel,
        f" {argument}",
        f"{argument} ",
    ):
        given_kwargs = json.dumps({spelling: REACHING_THE_HOST[argument]})
        with pytest.raises(LaunchError, match=r"may not set"):
            read(container_kwargs=given_kwargs)


@pytest.mark.parametrize("name", ["HostConfig", "hostconfig", "HOSTCONFIG", "hostConfig", "host_config"])
def test_keys_of_the_docker_api_itself_are_no_way_in(name: str) -> None:
    with pytest.raises(LaunchError, match=f"may not set {name}"):
        read(container_kwargs=json.dumps({name: {"privileged": True}}))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["host", "/:/host", "1g", "a"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["Privileged", "privileged", "HostConfig", "Name", "Soft"]), inner)
    ),
    max_leaves=4,
)
_DANGEROUS = ("Binds", "Mounts", "CapAdd", "Devices", "VolumesFrom", "PidMode", "IpcMode", "NetworkMode")


@given(st.dictionaries(st.sampled_from([*schema.HARMLESS_KWARGS, "init"]), _JSON, max_size=3))
def test_no_value_of_an_allowed_argument_becomes_another_key_of_the_request(value: dict[str, Any]) -> None:
    try:
        wish = read(container_kwargs=json.dumps(value))
    except LaunchError:
        return
    arguments = create_arguments(wish.container_kwargs, networks=("dagfleet",), version="1.41")
    host_config = arguments["host_config"]
    assert {key: host_config[key] for key in _DANGEROUS if host_config.get(key)} == {
        "NetworkMode": "dagfleet"
    }
    assert "Privileged" not in host_config


def test_a_tag_that_the_configuration_does_not_allow_is_refused_with_the_key() -> None:
    with pytest.raises(LaunchError, match=r"tag multihost/user is not allowed here.*run_tags.allowed"):
        read(RunTags(allowed=frozenset({"memory"})), user="root")


def test_the_allow_list_of_arguments_can_be_shorter() -> None:
    with pytest.raises(LaunchError, match=r"may not set user"):
        read(RunTags(container_kwargs=frozenset({"mem_limit"})), container_kwargs='{"user": "root"}')


def test_a_mistyped_tag_is_refused_and_an_unrelated_one_is_not() -> None:
    with pytest.raises(LaunchError, match=r"multihost/memroy means nothing. Did you mean multihost/memory\?"):
        read(memroy="2g")
    assert read(cleanup_max_age_hours="3") == run_tags.Wish()
