"""Sign what hosts ask for with the fleet's own authorities, as `dagfleet apply` does; print what was signed.

usage: sign.py STATE_DIRECTORY <<< '{"beta": [<mesh_certificates of role mesh>]}'
"""

import json
import sys
from pathlib import Path

from dagfleet.derive.certificates import CertificateSpec
from dagfleet.pki import Authorities

PASSPHRASE = "molecule"
IDENTITIES = ("reader", "launcher", "beta")


def main(directory: Path, hosts: dict[str, list[dict[str, object]]]) -> None:
    """Make the authorities once, a certificate for each new request, and clients to try them with."""
    if (directory / "docker").exists():
        authorities = Authorities.load(directory).unlock(PASSPHRASE)
    else:
        authorities = Authorities.create(directory, "molecule", PASSPHRASE, 1)
    for host, certificates in hosts.items():
        for certificate in certificates:
            spec = CertificateSpec(host=host, **certificate)  # type: ignore[arg-type]
            request = directory / "leaves" / host / f"{spec.name}.csr"
            signed = request.with_suffix(".crt")
            if not signed.exists() or signed.stat().st_mtime < request.stat().st_mtime:
                signed.write_bytes(authorities.sign_request(request.read_bytes(), spec, 30))
                print(f"{host} {spec.name}")
    for name in IDENTITIES:
        if not (directory / f"{name}.crt").exists():
            spec = CertificateSpec(name=name, host=None, authority="docker", common_name=name, usage="client")
            key, certificate_pem = authorities.issue(spec, 30)
            (directory / f"{name}.key").write_bytes(key)
            (directory / f"{name}.crt").write_bytes(certificate_pem)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.load(sys.stdin))
