"""What certificates are called. An authority's name has its generation: two of one name confuse verifiers."""

import re
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.x509.oid import NameOID

from dagfleet.pki.errors import PkiError

ORGANIZATION = "dagfleet"
_LONGEST_COMMON_NAME = 64  # ub-common-name in RFC 5280, appendix A.1
_AUTHORITY = re.compile(r"(?P<fleet>.+) (?P<authority>docker|mesh) g(?P<generation>[1-9][0-9]*)")


@dataclass(frozen=True, kw_only=True)
class AuthorityName:
    """The parts of an authority's common name, for example `lab docker g1`."""

    fleet: str
    authority: str
    generation: int

    @classmethod
    def parse(cls, common_name: str) -> "AuthorityName | None":
        """Return the parts of `common_name`, or None when it is not an authority of ours."""
        match = _AUTHORITY.fullmatch(common_name)
        if match is None:
            return None
        return cls(fleet=match["fleet"], authority=match["authority"], generation=int(match["generation"]))

    def __str__(self) -> str:
        return f"{self.fleet} {self.authority} g{self.generation}"

    def successor(self) -> "AuthorityName":
        """Return the name of the next generation."""
        return replace(self, generation=self.generation + 1)

    def subject(self) -> x509.Name:
        """Return it as `CN=lab docker g1, O=dagfleet`."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
                x509.NameAttribute(NameOID.COMMON_NAME, _checked(str(self))),
            ]
        )


def leaf_subject(common_name: str) -> x509.Name:
    """Return `CN=<common_name>`: HAProxy tells identities apart by it."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _checked(common_name))])


def common_name(name: x509.Name) -> str:
    """Return the common name in `name`, or an empty text."""
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else ""


def _checked(text: str) -> str:
    if not 1 <= len(text) <= _LONGEST_COMMON_NAME:
        raise PkiError(
            f'"{text}" has {len(text)} characters, a common name has 1 to {_LONGEST_COMMON_NAME}',
            fix="shorten the name in fleet.yml",
        )
    return text
