"""Make what must be refused: a stranger's launcher, and certificates for keys that are not the host's.

usage: strangers.py STATE_DIRECTORY <<< '[<mesh_certificates of role mesh>]'
"""

import json
import sys
from pathlib import Path

from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

directory = Path(sys.argv[1])
strangers = Authorities.create(directory / "strangers", "strangers", "passphrase", 1)
launcher = CertificateSpec(
    name="launcher", host=None, authority="docker", common_name="launcher", usage="client"
)
key, certificate = strangers.issue(launcher, 30)
(directory / "strangers/launcher.key").write_bytes(key)
(directory / "strangers/launcher.crt").write_bytes(certificate)
(directory / "mixed").mkdir()
for leaf in json.load(sys.stdin):
    _, certificate = strangers.issue(CertificateSpec(host="beta", **leaf), 30)
    (directory / f"mixed/{leaf['name']}.crt").write_bytes(certificate)
