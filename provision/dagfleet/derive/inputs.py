"""All that a host is made from, as one number."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from dagfleet.derive.secret_template import SecretTemplate

# RFC 7914's cost for an interactive login: 16 MiB and about 50 ms.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def inputs(variables: Mapping[str, Any], *, secrets: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """Return a hash (hex, 128 bits) over a host's variables, the secrets that they name, and files by name.

    Secrets go through scrypt: the number lies on the host, and whoever is root there must not find out
    somebody's weak password faster with it than from the password's own hash.
    """
    record = variables["base_record"]
    digest = hashlib.sha256(json.dumps([record["release"], record["config_hash"]]).encode())
    wanted = set(named_secrets(variables))
    used = {name: value for name, value in sorted(secrets.items()) if name in wanted}
    if used:
        digest.update(
            hashlib.scrypt(json.dumps(used).encode(), salt=variables["base_host_name"].encode(), **_SCRYPT)
        )
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


def named_secrets(value: Any) -> Iterable[str]:
    """Yield the names of the secrets that a derived value refers to."""
    if isinstance(value, SecretTemplate):
        yield from value.names
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from named_secrets(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from named_secrets(below)
