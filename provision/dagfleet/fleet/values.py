"""The kinds of text that fleet.yml holds: each checks itself and says in words what it wants."""

import ipaddress
import re
import shlex
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from dagfleet.fleet.versions import HostPython

SECRET_SCHEME = "secret://"  # noqa: S105 -- a prefix, not a secret

NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
SECRET_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
DATABASE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
ENVIRONMENT_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
USER_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.@-]{0,31}$")
DNS_NAME = re.compile(
    r"^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", re.IGNORECASE
)
# The grammar of the distribution project's `reference` package, without its rarities.
IMAGE = re.compile(
    r"^(?P<name>[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+(?=/))?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?$"
)

# Bech32, as age-keygen prints it.
RECIPIENT = re.compile(r"^age1[02-9ac-hj-np-z]{58}$")
SECRET_KEY_OF_AGE = "AGE-SECRET-KEY-"  # noqa: S105 -- how one begins
# What systemd.time(7) makes calendar events of; whether it is one is asked on the host.
SCHEDULE = re.compile(r"^[A-Za-z0-9 ,.:*/~_+-]{1,100}$")

RESERVED_HOSTS = frozenset({"gateway", "launcher", "reader", "web", "db", "localhost"}) | {
    # Names of Ansible groups.
    "all",
    "ungrouped",
    "control",
    "dagfleet",
}
RESERVED_LOCATIONS = frozenset({"admin"})
RESERVED_DATABASES = frozenset({"dagster", "postgres", "pgbouncer", "template0", "template1"})
RESERVED_ENVIRONMENT = frozenset(
    {"PGPASSFILE", "DAGSTER_HOME", "DAGSTER_CURRENT_IMAGE", "DAGFLEET_POSTGRES_URL"}
)


def secret_name(value: str) -> str | None:
    """Return `warehouse` for `secret://warehouse`, None for any other text."""
    return value.removeprefix(SECRET_SCHEME) if value.startswith(SECRET_SCHEME) else None


def is_ipv4(value: str) -> bool:
    """Tell whether `value` is an IPv4 address, such as 10.0.1.2."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f'"{value}" cannot be a name; use up to 31 lower-case letters, digits, dashes')
    return value


def _host_name(value: str) -> str:
    if value in RESERVED_HOSTS:
        raise ValueError(f'"{value}" is a name that Dagfleet uses itself; call the host something else')
    return _name(value)


def _location_name(value: str) -> str:
    if value in RESERVED_LOCATIONS:
        raise ValueError(f'"{value}" is the location that Dagfleet adds itself; call yours something else')
    return _name(value)


def _secret_key(value: str) -> str:
    if not SECRET_NAME.fullmatch(value):
        raise ValueError(
            f'"{value}" cannot be a secret\'s name; use lower-case letters, digits, dashes and underscores'
        )
    return value


def _database_name(value: str) -> str:
    if value in RESERVED_DATABASES:
        raise ValueError(f'"{value}" is a database that is there already; call yours something else')
    if not DATABASE_NAME.fullmatch(value):
        raise ValueError(
            f'"{value}" cannot be a database\'s name; use lower-case letters, digits and underscores'
        )
    return value


def _environment_name(value: str) -> str:
    if value in RESERVED_ENVIRONMENT:
        raise ValueError(f'"{value}" is set by Dagfleet itself; take it out, or use another name')
    if not ENVIRONMENT_NAME.fullmatch(value):
        raise ValueError(
            f'"{value}" cannot be a variable\'s name; use letters, digits and underscores, no digit first'
        )
    return value


def _user_name(value: str) -> str:
    if not USER_NAME.fullmatch(value):
        raise ValueError(f'"{value}" cannot be a user\'s name; use letters, digits and . _ @ -, at most 32')
    return value


def _address(value: str) -> str:
    if not is_ipv4(value):
        raise ValueError(f'"{value}" is not an IPv4 address; write one such as 10.0.1.2')
    if (
        (address := ipaddress.IPv4Address(value)).is_loopback
        or address.is_unspecified
        or address.is_multicast
    ):
        raise ValueError(f'"{value}" cannot be reached by the other hosts; write the address that they use')
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError:
        raise ValueError(
            f'"{value}" is not an IPv4 address or network; write 10.0.1.2 or 10.0.1.0/24'
        ) from None


def _source(value: str) -> str:
    try:
        ipaddress.ip_network(value)  # an address is one too; bits beyond the mask are a mistake
    except ValueError:
        raise ValueError(
            f'"{value}" is no address or network; write 10.0.1.2, 10.0.1.0/24 or fd00:1::/64'
        ) from None
    return value


def _subnet(value: str) -> str:
    network = ipaddress.IPv4Network(_network(value))
    if network.prefixlen > 28:
        raise ValueError(
            f'"{value}" is too small for a Docker network; give it 16 addresses or more, such as /24'
        )
    return str(network)


def _dns_name(value: str) -> str:
    if is_ipv4(value) or not DNS_NAME.fullmatch(value):
        raise ValueError(f'"{value}" is not a host name; write one such as dagster.example.com')
    return value


def _subject_name(value: str) -> str:
    if not is_ipv4(value) and not DNS_NAME.fullmatch(value):
        raise ValueError(f'"{value}" is neither a host name nor an IPv4 address')
    return value


def _secret_reference(value: str) -> str:
    if not value.startswith(SECRET_SCHEME):
        raise ValueError(
            "a secret never stands here in clear; write secret://NAME and declare NAME under secrets"
        )
    return value


def _pinned_image(value: str) -> str:
    match = IMAGE.fullmatch(value)
    if match is None:
        raise ValueError(f'"{value}" is not an image; write one such as registry.example.com/etl:1.4.2')
    if not match["digest"] and match["tag"] in {None, "latest"}:
        what = "can change under you" if match["tag"] else "has no tag, so it means latest"
        raise ValueError(f'"{value}" {what}; pin a tag or a digest')
    return value


def _source_path(value: str) -> str:
    if not value.startswith(("./", "../")):
        raise ValueError(f'"{value}" is not a path beside fleet.yml; write one such as ./reporting')
    return value


def _command(value: object) -> object:
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("a quote is not closed in this command") from None
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        words = value
    else:
        raise ValueError("must be one line of text or a list of words, such as op read op://prod/warehouse")
    if not words:
        raise ValueError("the command is empty; write the program that prints the secret")
    return tuple(words)


def _web_certificate(value: str) -> str:
    if secret_name(value) is None and not value.startswith("/"):
        raise ValueError(
            f'"{value}" is neither a secret nor an absolute path; write secret://web_certificate, or '
            "/etc/letsencrypt/... on the control host"
        )
    return value


def _label(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        raise ValueError("must be text, a number, true or false")
    return value


def _environment_value(value: object) -> object:
    if isinstance(value, bool | int | float):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        raise ValueError(f'environment variables are text; write "{text}" in quotes')
    return value


def _memory(value: str) -> str:
    # Docker's own units, which are binary.
    if not re.fullmatch(r"[1-9]\d*[kmg]", value.lower()):
        raise ValueError(f'"{value}" is no amount of memory; write one like 64g or 512m')
    return value.lower()


def _schedule(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError('is a number to YAML; write it in quotes, such as "03:15"')
    if not isinstance(value, str) or not SCHEDULE.fullmatch(value):
        raise ValueError('is no time; write "03:15", or another OnCalendar text of systemd')
    return value


def _directory(value: str) -> str:
    path = PurePosixPath(value)
    # systemd and Ansible each have their own idea of blanks, quotes and percent signs.
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", value) or ".." in path.parts or len(path.parts) < 3:
        raise ValueError(
            f'"{value}" cannot hold backups; write the whole path of a directory of its own, such as '
            "/srv/backups"
        )
    return str(path)


def _recipient(value: str) -> str:
    if value.upper().startswith(SECRET_KEY_OF_AGE):
        raise ValueError(
            "this is the secret key, which belongs to nobody here; write the public one, age1..."
        )
    if not RECIPIENT.fullmatch(value):
        raise ValueError(f'"{value}" is no public key of age; write the line that age-keygen -y prints')
    return value


def _host_python(value: object) -> object:
    if isinstance(value, float):
        raise ValueError('is a number to YAML; write it in quotes, such as "3.13"')
    return value


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": NAME.pattern})]
HostName = Annotated[str, AfterValidator(_host_name)]
LocationName = Annotated[str, AfterValidator(_location_name)]
SecretKey = Annotated[str, AfterValidator(_secret_key)]
DatabaseName = Annotated[str, AfterValidator(_database_name)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
EnvironmentValue = Annotated[str, BeforeValidator(_environment_value)]
UserName = Annotated[str, AfterValidator(_user_name)]
Address = Annotated[str, AfterValidator(_address), Field(json_schema_extra={"format": "ipv4"})]
Source = Annotated[str, AfterValidator(_source)]
Subnet = Annotated[str, AfterValidator(_subnet)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
SubjectName = Annotated[str, AfterValidator(_subject_name)]
SecretReference = Annotated[
    str, AfterValidator(_secret_reference), Field(json_schema_extra={"pattern": f"^{SECRET_SCHEME}"})
]
PinnedImage = Annotated[str, AfterValidator(_pinned_image)]
SourcePath = Annotated[str, AfterValidator(_source_path)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Schedule = Annotated[str, BeforeValidator(_schedule)]
Directory = Annotated[str, AfterValidator(_directory)]
Recipient = Annotated[
    str, AfterValidator(_recipient), Field(json_schema_extra={"pattern": RECIPIENT.pattern})
]
Memory = Annotated[str, AfterValidator(_memory)]
Whole = Annotated[int, Field(strict=True)]
WebCertificate = Annotated[str, AfterValidator(_web_certificate)]
Python = Annotated[HostPython, BeforeValidator(_host_python)]
DockerAccess = Literal["mesh", "tls", "ssh"]
Label = Annotated[
    str | bool | int | float,
    BeforeValidator(_label),
    WithJsonSchema({"type": ["string", "boolean", "number"]}),
]
Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_command),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
