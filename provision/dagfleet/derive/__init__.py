"""Everything that follows from fleet.yml, as pure functions from values to values."""

from dagfleet.derive.artifacts import Artifacts, LauncherPackage, ProcessRelease
from dagfleet.derive.certificates import CertificateSpec, certificates
from dagfleet.derive.groups import groups
from dagfleet.derive.host_vars import host_vars
from dagfleet.derive.instance import dagster_yaml
from dagfleet.derive.ports import location_port, location_ports
from dagfleet.derive.secret_template import SecretTemplate
from dagfleet.derive.workspace import workspace_yaml

__all__ = [
    "Artifacts",
    "CertificateSpec",
    "LauncherPackage",
    "ProcessRelease",
    "SecretTemplate",
    "certificates",
    "dagster_yaml",
    "groups",
    "host_vars",
    "location_port",
    "location_ports",
    "workspace_yaml",
]
