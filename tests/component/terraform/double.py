"""A double of the Terraform providers of Hetzner Cloud (`double.py hcloud`) and AWS (`double.py aws`).

What it proves: wiring. That each resource of the examples is given arguments that the provider's
documentation names, with the right types; that the firewall's rules are those of the matrix; that each server
gets its own address, firewall and user data; that Terraform plans, applies, changes and destroys all of it.

What it does not prove: anything about the clouds. The schemas below were written by hand from the providers'
documentation, and hold only what the examples use. No server boots, no packet is filtered, no image, size,
quota or right is checked. The clouds may refuse what this accepts.

Runs in the environment that requirements/terraform-double.txt locks.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tf.blocks import SetNestedBlock
from tf.iface import DataSource, Provider, Resource
from tf.runner import run_provider
from tf.schema import Attribute, Block, Schema
from tf.types import Bool, List, Map, Number, Set, String, TfType

TEXT, WHOLE, FLAG = String(), Number(), Bool()
TEXTS, WHOLES = List(String()), List(Number())


def number(*parts: str) -> int:
    """Return an identifier as clouds do: a number that says nothing, here always the same one for a name."""
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:4])


@dataclass(frozen=True)
class Kind:
    """A type of resource: what it must be given, may be given, and answers."""

    required: Mapping[str, TfType] = field(default_factory=dict)
    optional: Mapping[str, TfType] = field(default_factory=dict)
    computed: Mapping[str, TfType] = field(default_factory=dict)
    blocks: Mapping[str, "Kind"] = field(default_factory=dict)

    def attributes(self) -> list[Attribute]:
        return [
            *(Attribute(name, kind, required=True) for name, kind in self.required.items()),
            *(Attribute(name, kind, optional=True) for name, kind in self.optional.items()),
            *(Attribute(name, kind, computed=True) for name, kind in self.computed.items()),
        ]

    def nested(self) -> list[SetNestedBlock]:
        return [
            SetNestedBlock(name, Block(attributes=kind.attributes())) for name, kind in self.blocks.items()
        ]


INGRESS = Kind(
    required={"from_port": WHOLE, "to_port": WHOLE, "protocol": TEXT},
    optional={"description": TEXT, "cidr_blocks": TEXTS, "ipv6_cidr_blocks": TEXTS},
)
RESOURCES: dict[str, dict[str, Kind]] = {
    "hcloud": {
        "primary_ip": Kind(
            required={"name": TEXT, "type": TEXT, "assignee_type": TEXT},
            optional={"location": TEXT, "auto_delete": FLAG},
            computed={"id": TEXT, "ip_address": TEXT},
        ),
        "firewall": Kind(
            optional={"name": TEXT},
            computed={"id": TEXT},
            blocks={
                "rule": Kind(
                    required={"direction": TEXT, "protocol": TEXT},
                    optional={"port": TEXT, "source_ips": Set(TEXT), "description": TEXT},
                )
            },
        ),
        "ssh_key": Kind(required={"name": TEXT, "public_key": TEXT}, computed={"id": TEXT}),
        "server": Kind(
            required={"name": TEXT, "server_type": TEXT},
            optional={
                "image": TEXT,
                "location": TEXT,
                "user_data": TEXT,
                "ssh_keys": TEXTS,
                "firewall_ids": Set(WHOLE),
            },
            computed={"id": TEXT},
            blocks={"public_net": Kind(optional={"ipv4": WHOLE, "ipv4_enabled": FLAG, "ipv6_enabled": FLAG})},
        ),
    },
    "aws": {
        "security_group": Kind(
            optional={"name": TEXT, "description": TEXT, "vpc_id": TEXT},
            computed={"id": TEXT},
            blocks={"ingress": INGRESS, "egress": INGRESS},
        ),
        "instance": Kind(
            optional={
                "ami": TEXT,
                "instance_type": TEXT,
                "subnet_id": TEXT,
                "private_ip": TEXT,
                "vpc_security_group_ids": Set(TEXT),
                "user_data": TEXT,
                "tags": Map(TEXT),
            },
            computed={"id": TEXT},
        ),
    },
}


def answer(provider: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the cloud would say of a new resource besides what it was given."""
    called = number(name, str(given.get("name") or given.get("tags")))
    said: dict[str, Any] = {"id": str(called) if provider == "hcloud" else f"{name}-{called:08x}"}
    if name == "primary_ip":
        # From the network that benchmarks may use, which is nobody's.
        said["ip_address"] = f"198.18.{called // 256 % 256}.{called % 250 + 1}"
    return said


def resource(provider: str, name: str, kind: Kind) -> type[Resource]:
    class Double(Resource):
        def __init__(self, _provider: Provider) -> None:
            pass

        @classmethod
        def get_name(cls) -> str:
            return f"_{name}"

        @classmethod
        def get_schema(cls) -> Schema:
            return Schema(attributes=kind.attributes(), block_types=list(kind.nested()), version=1)

        def create(self, _ctx: Any, planned: dict[str, Any]) -> dict[str, Any]:
            return {**planned, **answer(provider, name, planned)}

        def read(self, _ctx: Any, current: dict[str, Any]) -> dict[str, Any]:
            return current

        def update(self, _ctx: Any, _current: Any, planned: dict[str, Any]) -> dict[str, Any]:
            return planned

        def delete(self, _ctx: Any, _current: Any) -> None:
            return None

    return Double


class Subnet(DataSource):
    """The one subnet that there is."""

    def __init__(self, _provider: Provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "_subnet"

    @classmethod
    def get_schema(cls) -> Schema:
        kind = Kind(required={"id": TEXT}, computed={"cidr_block": TEXT, "vpc_id": TEXT})
        return Schema(attributes=kind.attributes())

    def read(self, _ctx: Any, config: dict[str, Any]) -> dict[str, Any]:
        return {"id": config["id"], "cidr_block": "10.20.30.0/24", "vpc_id": "vpc-0d0b1e"}


class Cloud(Provider):
    """A provider that remembers nothing: Terraform's state is the only world there is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get_model_prefix(self) -> str:
        return self.name

    def full_name(self) -> str:
        return self.name

    def get_provider_schema(self, _diags: Any) -> Schema:
        return Schema()

    def validate_config(self, _diags: Any, _config: Any) -> None:
        pass

    def configure_provider(self, _diags: Any, _config: Any) -> None:
        pass

    def get_data_sources(self) -> list[type[DataSource]]:
        return [Subnet] if self.name == "aws" else []

    def get_resources(self) -> list[type[Resource]]:
        return [resource(self.name, name, kind) for name, kind in RESOURCES[self.name].items()]


if __name__ == "__main__":
    run_provider(Cloud(sys.argv[1]), argv=sys.argv[:1])
