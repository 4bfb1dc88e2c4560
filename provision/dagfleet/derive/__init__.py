"""Everything that follows from fleet.yml, as pure functions from values to values."""

from dagfleet.derive.artifacts import Artifacts, ProcessRelease
from dagfleet.derive.certificates import CertificateSpec, certificates

__all__ = ["Artifacts", "CertificateSpec", "ProcessRelease", "certificates"]
