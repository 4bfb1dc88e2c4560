"""The environment of a location's code servers and runs, and the files it comes from."""

from dagfleet.derive.networks import DATABASE_NAME, DATABASE_PORT, has_database
from dagfleet.derive.secret_template import SecretTemplate, secret_template
from dagfleet.fleet.model import Fleet, Location
from dagfleet.fleet.values import secret_name

# Inside containers; Dagfleet mounts them from the host, read-only.
CONTAINER_FILES = "/run/dagfleet/location"
CONTAINER_WRAPPER = "/run/dagfleet/with-secrets"
CONTAINER_PACKAGE = "/run/dagfleet/launcher.whl"

HOST_FILES = "/etc/dagfleet/locations"
HOST_WRAPPER = "/usr/local/lib/dagfleet/with-secrets"
HOST_PACKAGE = "/usr/local/lib/dagfleet/launcher.whl"

STORAGE_URL_VARIABLE = "DAGFLEET_POSTGRES_URL"


def storage_url(fleet: Fleet) -> str | dict[str, str]:
    """Return Dagster's storage URL as dagster.yaml writes it, never with a password.

    Managed: the password is in the file that PGPASSFILE names. External: the whole URL is a secret, so every
    process of Dagster finds it in its environment; a run inherits the name of the variable, not the value.
    """
    if has_database(fleet):
        return f"postgresql://dagster@{DATABASE_NAME}:{DATABASE_PORT}/dagster"
    return {"env": STORAGE_URL_VARIABLE}


def storage_secrets(fleet: Fleet) -> dict[str, SecretTemplate]:
    """Return the secret environment that storage needs wherever Dagster runs."""
    return {STORAGE_URL_VARIABLE: secret_template(fleet.postgres.url)} if fleet.postgres.url else {}


def container_environment(fleet: Fleet, location: Location) -> dict[str, str]:
    """Return the plain environment of a location's containers; it can be seen in `docker inspect`.

    The image is not in it: the control plane's files stay as they are when a location gets another one.
    """
    password = {"PGPASSFILE": f"{CONTAINER_FILES}/pgpass"} if has_database(fleet) else {}
    return {**password, **_plain(location)}


def process_environment(fleet: Fleet, name: str) -> dict[str, str]:
    """Return the plain environment of a location's process."""
    password = {"PGPASSFILE": f"{HOST_FILES}/{name}/pgpass"} if has_database(fleet) else {}
    return {**password, **_plain(fleet.locations[name])}


def secret_environment(fleet: Fleet, location: Location) -> dict[str, SecretTemplate]:
    """Return the secret environment of a location; on hosts it is in files that only root reads."""
    own = {key: secret_template(value) for key, value in location.env.items() if secret_name(value)}
    return {**storage_secrets(fleet), **own}


def container_volumes(fleet: Fleet, name: str) -> list[str]:
    """Return the mounts that bring a location's secrets into its containers, and what stores compute logs."""
    package = [f"{HOST_PACKAGE}:{CONTAINER_PACKAGE}:ro"] if fleet.compute_logs.store == "postgres" else []
    return [f"{HOST_FILES}/{name}:{CONTAINER_FILES}:ro", f"{HOST_WRAPPER}:{CONTAINER_WRAPPER}:ro", *package]


def code_arguments(name: str, location: Location) -> list[str]:
    """Return what follows `dagster api grpc -h HOST -p PORT`."""
    options = {
        "-m": location.module,
        "-f": location.python_file,
        "-a": location.attribute,
        "-d": location.working_directory,
        "--location-name": name,
    }
    return [word for option, value in options.items() if value is not None for word in (option, value)]


def _plain(location: Location) -> dict[str, str]:
    return {key: value for key, value in location.env.items() if not secret_name(value)}
