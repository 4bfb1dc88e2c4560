"""The fleet's public key infrastructure: two authorities, and every leaf that the fleet needs."""

from dagfleet.pki.authorities import Authorities
from dagfleet.pki.errors import PkiError
from dagfleet.pki.facts import CertificateFacts, inspect, needs_renewal
from dagfleet.pki.operator import Credentials, operator_credentials, operator_files
from dagfleet.pki.passphrase import resolve_passphrase, terminal_prompt
from dagfleet.pki.requests import request_key_fingerprint

__all__ = [
    "Authorities",
    "CertificateFacts",
    "Credentials",
    "PkiError",
    "inspect",
    "needs_renewal",
    "operator_credentials",
    "operator_files",
    "request_key_fingerprint",
    "resolve_passphrase",
    "terminal_prompt",
]
