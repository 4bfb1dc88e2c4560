"""What fleet.yml may say (schema 1): one annotated model for validation, editors and the reference page."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dagfleet.fleet.values import (
    Address,
    Command,
    DatabaseName,
    Directory,
    DnsName,
    DockerAccess,
    EnvironmentName,
    EnvironmentValue,
    HostName,
    Label,
    LocationName,
    Memory,
    Name,
    PinnedImage,
    Port,
    Python,
    Recipient,
    Schedule,
    SecretKey,
    SecretReference,
    Source,
    SourcePath,
    SubjectName,
    Subnet,
    UserName,
    WebCertificate,
    Whole,
)
from dagfleet.fleet.versions import PYTHON, supported_dagster_version


class Part(BaseModel):
    """A part of fleet.yml: never changes once read, knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Dagster(Part):
    """Which Dagster the fleet runs."""

    version: Annotated[str, AfterValidator(supported_dagster_version)] = Field(
        description="Dagster's version, in quotes; the integration libraries of the same release follow it.",
        examples=['"1.13.27"'],
    )


class Ssh(Part):
    """How the operator logs in to a host."""

    user: str = Field(default="root", min_length=1, description="Who logs in; needs sudo unless root.")
    port: Port = Field(default=22, description="Port of sshd.")
    key: str | None = Field(
        default=None,
        min_length=1,
        description="Private key, relative to fleet.yml; without it SSH's own settings and agent decide.",
    )


class Mesh(Part):
    """The host's door for traffic between hosts."""

    port: Port = Field(default=4443, description="Port that HAProxy listens on for mutual TLS.")


class Host(Part):
    """One Linux machine."""

    address: Address = Field(
        description="Address by which the other hosts reach this one.", examples=["10.0.1.2"]
    )
    ssh: Ssh = Field(default=Ssh(), description="How the operator logs in.")
    docker: Literal["engine", "none"] = Field(
        default="engine",
        description="`engine`: locations and runs are containers; `none`: they are bare processes.",
    )
    python: Python | None = Field(
        default=None,
        description="Its python3, where locations are bare processes: their wheels are for it; 3.11 when "
        "absent.",
        examples=['"3.13"'],
    )
    docker_port: Port = Field(default=2376, description="Port of the Docker endpoint (mutual TLS).")
    mesh: Mesh = Field(default=Mesh(), description="The host's door for traffic between hosts.")
    max_runs: Whole | None = Field(
        default=None,
        ge=1,
        description="How many run containers this host takes at once; no limit when absent.",
    )
    cpus: float | None = Field(
        default=None, gt=0, description="CPUs that runs here may ask for together; no limit when absent."
    )
    memory: Memory | None = Field(
        default=None,
        description="Memory that runs here may ask for together; no limit when absent.",
        examples=["64g"],
    )
    labels: dict[str, Label] = Field(
        default={},
        description="Facts of your own about the host. Runs choose by them (tag `multihost/labels`: "
        "`gpu=true`); Ansible sees them as `dagfleet_labels`.",
    )

    @property
    def runs_docker(self) -> bool:
        """Tell whether locations and runs are containers here."""
        return self.docker == "engine"

    @property
    def process_python(self) -> str:
        """Return the Python that wheels of its processes are collected for."""
        return self.python or PYTHON


class Web(Part):
    """How people reach the web UI: TLS and a login, always."""

    hostname: DnsName = Field(
        description="Name that people type; in the certificate.", examples=["dagster.example.com"]
    )
    users: SecretReference = Field(
        description="Secret with a line `user:password` or `user:$6$hash` for each user.",
        examples=["secret://web_users"],
    )
    port: Port = Field(default=443, description="Port of the web UI on the control host.")
    extra_names: tuple[SubjectName, ...] = Field(
        default=(), description="Further names and addresses for the certificate.", examples=[["127.0.0.1"]]
    )
    certificate: WebCertificate | None = Field(
        default=None,
        description="Certificate to show instead of the fleet's own: a secret with chain and key as PEM, or "
        "the path of such a file on the control host, for an ACME client that keeps it there.",
        examples=["secret://web_certificate", "/etc/letsencrypt/live/dagster/haproxy.pem"],
    )
    acme_port: Port | None = Field(
        default=None,
        description="Port on the control host's loopback where an ACME client answers HTTP challenges. Port "
        "80 is then open to everybody, for these and nothing else.",
        examples=[8402],
    )


class Control(Part):
    """The control plane: web server, daemon, database, the queue."""

    host: str = Field(
        description="The one host that runs the control plane; it needs Docker.", examples=["alpha"]
    )
    web: Web = Field(description="How people reach the web UI.")
    image: PinnedImage | None = Field(
        default=None,
        description="Pinned image to use for the control plane instead of the one Dagfleet builds.",
    )
    standby: str | None = Field(
        default=None,
        description="A second host that is kept ready to become the control host: dagfleet failover. "
        "It needs Docker, and may serve locations like any other.",
        examples=["beta"],
    )
    replication: Literal["backup", "streaming"] | None = Field(
        default=None,
        description="What the standby takes over from: `backup` is the last backup, `streaming` "
        "a copy of PostgreSQL that follows within moments. `backup` when absent.",
    )


class Limits(Part):
    """How much of a location may run at once."""

    concurrent_runs: Whole | None = Field(
        default=None,
        ge=1,
        description="Runs of this location in progress at once, over all its hosts.",
        examples=[10],
    )


class Location(Part):
    """A Dagster code location: where its code comes from and which hosts serve and run it."""

    hosts: tuple[str, ...] = Field(
        min_length=1,
        description="Hosts that run it, all with Docker or all without; the first serves, others stand by.",
        examples=[["beta", "gamma"]],
    )
    image: PinnedImage | None = Field(
        default=None, description="Pinned image with the code (hosts with Docker).", examples=["etl:1.4.2"]
    )
    requirements: tuple[SourcePath, ...] = Field(
        default=(),
        description="Python projects and requirements files to install (hosts without Docker).",
        examples=[["./reporting"]],
    )
    module: str | None = Field(default=None, min_length=1, description="Module with the definitions.")
    python_file: str | None = Field(
        default=None, min_length=1, description="File with the definitions, instead."
    )
    attribute: str | None = Field(
        default=None, min_length=1, description="Name of the Definitions object, if there are several."
    )
    working_directory: str | None = Field(
        default=None, min_length=1, description="Directory on the host or in the image to import from."
    )
    limits: Limits = Field(default=Limits(), description="How much of it may run at once.")
    env: dict[EnvironmentName, EnvironmentValue] = Field(
        default={}, description="Environment of its code servers and runs: text, or secret://NAME."
    )


class Docker(Part):
    """Docker on the hosts."""

    access: DockerAccess = Field(
        default="mesh",
        description="How the launcher reaches Docker: `mesh` is HAProxy with mutual TLS, rules and "
        "revocation; `tls` is dockerd's own, without either, restarted at each renewal; `ssh` is an account "
        "on each host that may do nothing else, without certificates and ports.",
    )
    images: Literal["pull", "push"] = Field(
        default="pull",
        description="`pull`: hosts pull from a registry; `push`: this machine's Docker sends what they lack.",
    )
    run_subnet: Subnet = Field(
        default="172.31.250.0/24",
        description="Docker network of code servers and runs, the same on every host.",
    )
    control_subnet: Subnet = Field(
        default="172.31.251.0/24", description="Docker network of the control plane's containers."
    )


class Images(Part):
    """What images are built from."""

    base: PinnedImage = Field(
        default="python:3.11-slim-bookworm",
        description="Image with Python that the control plane is built on.",
    )


class OpenPort(Part):
    """A port that something besides Dagfleet serves, on every host that has it."""

    port: Port = Field(description="The port.", examples=[9100])
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="Its protocol.")
    sources: tuple[Source, ...] = Field(
        default=(), description="Addresses and networks that may use it; anywhere when absent."
    )


class Firewall(Part):
    """Who may reach the hosts' ports; answers, ICMP and loopback always pass."""

    operators: tuple[Source, ...] = Field(
        default=(),
        description="Addresses and networks from which operators reach the Docker endpoint.",
        examples=[["10.0.0.7"]],
    )
    ssh: tuple[Source, ...] = Field(
        default=(),
        description="Addresses and networks that SSH may come from; anywhere when absent.",
        examples=[["10.0.0.0/24", "fd00:1::/64"]],
    )
    web: tuple[Source, ...] = Field(
        default=(), description="Addresses and networks that may use the web UI; anywhere when absent."
    )
    registry: tuple[Source, ...] = Field(
        default=(),
        description="Addresses and networks that may use the registry besides the fleet's hosts; anywhere "
        "when absent.",
    )
    open: tuple[OpenPort, ...] = Field(
        default=(), description="What else the hosts serve.", examples=["[{port: 9100, sources: [10.0.0.9]}]"]
    )
    others: Literal["drop", "accept"] = Field(
        default="drop",
        description="What becomes of every other port: `accept` leaves them to whoever else rules the host.",
    )


class Pki(Part):
    """The fleet's own two certificate authorities."""

    leaf_days: Whole = Field(default=90, ge=1, le=825, description="Days that a certificate is valid.")
    ca_years: Whole = Field(default=10, ge=1, le=30, description="Years that an authority is valid.")
    passphrase: SecretReference | None = Field(
        default=None,
        description="Secret that encrypts the authorities' keys; else DAGFLEET_CA_PASSPHRASE, else a prompt.",
        examples=["secret://ca_passphrase"],
    )


class Database(Part):
    """A further database on the managed PostgreSQL; its user has its name."""

    password: SecretReference = Field(
        description="Secret with its password.", examples=["secret://warehouse"]
    )


class Postgres(Part):
    """Dagster's storage."""

    mode: Literal["managed", "external"] = Field(
        default="managed",
        description="`managed`: PostgreSQL on the control host; `external`: yours, by `url`.",
    )
    url: SecretReference | None = Field(
        default=None, description="Secret with the URL of an external PostgreSQL.", examples=["secret://pg"]
    )
    databases: dict[DatabaseName, Database] = Field(
        default={}, description="Further databases on the managed PostgreSQL, by name."
    )


class Backup(Part):
    """Backups of the control host: databases and the fleet's history. dagfleet backup makes them, too."""

    schedule: Schedule | None = Field(
        default=None,
        description="When one is made, as in systemd's OnCalendar; by hand only when absent.",
        examples=['"03:15"', '"Mon..Fri 22:00"'],
    )
    keep: Whole = Field(
        default=7, ge=1, le=1000, description="How many stay; the oldest go once a new one is complete."
    )
    directory: Directory = Field(
        default="/var/backups/dagfleet", description="Where they lie on the control host."
    )
    recipient: Recipient | None = Field(
        default=None,
        description="Public key of age that they are encrypted for; its secret key is no business of the "
        "control host's.",
        examples=["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
    )


class Registry(Part):
    """A registry of images on the control host, for teams whose CI pushes; hosts pull by certificate."""

    users: SecretReference = Field(
        description="Secret with a line `user:password` or `user:$6$hash` for each who may push and delete.",
        examples=["secret://registry_users"],
    )
    hostname: DnsName | None = Field(
        default=None,
        description="Its name in the names of images, `control.web.hostname` when absent; hosts with Docker "
        "find it without DNS.",
        examples=["registry.example.com"],
    )
    port: Port = Field(default=5000, description="Its port on the control host.")


class Admission(Part):
    """What a run must pass to be queued. A refused run ends as FAILURE and says by which rule."""

    max_queue_size: Whole = Field(default=10_000, ge=-1, description="Runs that may wait; -1 any number.")
    max_runs_per_user: Whole = Field(
        default=100,
        ge=-1,
        description="Runs that a person may have waiting and in progress; -1 any number. "
        "Schedules, sensors and backfills are no persons.",
    )
    stale_timeout_seconds: Whole = Field(
        default=3600, ge=-1, description="Seconds after which a waiting run is canceled; -1 never."
    )


class FairSharing(Part):
    """Whose turn it is among runs of equal priority: the one with the fewest in progress for its weight."""

    key: str = Field(default="code_location", description="The run tag whose values share, such as user.")
    weights: dict[str, float] = Field(default={}, description="How much a value gets; 1 for all others.")
    ageing_seconds: Whole = Field(
        default=0, ge=0, description="A waiting run gains one priority for each of these; 0 never."
    )


class ComputeLogs(Part):
    """What steps print to stdout and stderr, for the web UI."""

    store: Literal["postgres", "local"] = Field(
        default="postgres",
        description="`postgres`: in Dagster's database, and the web UI shows them; `local`: in files "
        "where the step ran, which the web UI cannot show.",
    )
    retention_days: Whole = Field(
        default=30, ge=0, description="Days that they are kept in the database; 0 for ever."
    )


class Queue(Part):
    """The run queue."""

    max_concurrent_runs: Whole = Field(
        default=25,
        ge=-1,
        description="Runs in progress at once in the whole fleet; -1 no limit, 0 stops the queue.",
    )
    dequeue_interval_seconds: Whole = Field(
        default=2,
        ge=1,
        description="Seconds between two looks at the queue where the database cannot wake the daemon.",
    )
    admission: Admission | None = Field(
        default=None, description="Rules that a run must pass to be queued. Left out: every run is queued."
    )
    fair_sharing: FairSharing | None = Field(
        default=None, description="Share among locations or users. Left out: first in, first out."
    )


class Generated(Part):
    """A secret that Dagfleet makes up once and keeps beside fleet.yml, in .dagfleet/secrets."""

    length: Whole = Field(default=32, ge=16, le=256, description="Characters of the random text.")
    users: tuple[UserName, ...] = Field(
        default=(), description="Makes lines `user:random` for these users instead of one random text."
    )


def _generated(value: object) -> object:
    if value is True:
        return {}
    if value is False:
        raise ValueError("false generates nothing; write true, or name another source")
    return value


class Secret(Part):
    """Where a secret comes from when it is needed: exactly one source."""

    command: Command | None = Field(
        default=None,
        description="Command that prints it; run without a shell.",
        examples=["op read op://prod/warehouse"],
    )
    env: EnvironmentName | None = Field(default=None, description="Environment variable of the operator.")
    file: str | None = Field(
        default=None, min_length=1, description="File, relative to fleet.yml, mode 0600."
    )
    generated: Annotated[
        Generated | None, BeforeValidator(_generated, json_schema_input_type=Literal[True] | Generated)
    ] = Field(
        default=None, description="true, or {length: N}, or {users: [...]}: made up once, kept in .dagfleet."
    )


class Fleet(Part):
    """A fleet as its file describes it."""

    version: Literal[1] = Field(description="Schema of this file.", examples=[1])
    terraform: str | None = Field(
        default=None,
        min_length=1,
        description="Terraform configuration that says name, control host, hosts, docker.access and "
        "firewall in its output `dagfleet`: its folder, or a file with `terraform output -json`. Any key "
        "stands there or here.",
        examples=["../terraform"],
    )
    name: Name = Field(description="Name of the fleet, in certificates and on every host.", examples=["prod"])
    dagster: Dagster = Field(description="Which Dagster the fleet runs.", examples=['{version: "1.13.27"}'])
    control: Control = Field(description="The control plane.")
    hosts: dict[HostName, Host] = Field(min_length=1, description="The machines, by name.")
    locations: dict[LocationName, Location] = Field(default={}, description="Code locations, by name.")
    docker: Docker = Field(default=Docker(), description="Docker on the hosts.")
    images: Images = Field(default=Images(), description="What images are built from.")
    firewall: Firewall = Field(default=Firewall(), description="Who may reach the fleet's own ports.")
    pki: Pki = Field(default=Pki(), description="The fleet's own certificate authorities.")
    postgres: Postgres = Field(default=Postgres(), description="Dagster's storage.")
    backup: Backup = Field(default=Backup(), description="Backups of the control host.")
    registry: Registry | None = Field(
        default=None, description="A registry of images on the control host; none when absent."
    )
    compute_logs: ComputeLogs = Field(default=ComputeLogs(), description="What steps print.")
    queue: Queue = Field(default=Queue(), description="The run queue.")
    secrets: dict[SecretKey, Secret] = Field(default={}, description="Where secrets come from, by name.")
    acknowledge: tuple[Whole, ...] = Field(
        default=(),
        description="Numbers of Dagfleet's breaking changes that may come to this fleet; an apply that "
        "brings one asks for its number here.",
        examples=[[1]],
    )

    @property
    def control_hosts(self) -> tuple[str, ...]:
        """Return the control host and, where there is one, its standby."""
        return (self.control.host, *([self.control.standby] if self.control.standby else []))

    @property
    def streams(self) -> bool:
        """Tell whether the standby follows PostgreSQL itself."""
        return self.control.standby is not None and self.control.replication == "streaming"

    def locations_on(self, host_name: str) -> dict[str, Location]:
        """Return the locations that a host serves, in the file's order."""
        return {name: location for name, location in self.locations.items() if host_name in location.hosts}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of fleet.yml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Fleet.model_json_schema(),
        "title": "Dagfleet's fleet.yml",
    }
