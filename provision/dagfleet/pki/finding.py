"""Which leaves a person means by a name."""

from collections.abc import Iterable
from difflib import get_close_matches

from dagfleet.errors import ConfigurationError
from dagfleet.pki.register import Issued

SHORTEST_FINGERPRINT = 8


def named(name: str, leaves: Iterable[Issued]) -> list[Issued]:
    """Return the leaves called `name`: an identity (reader), a certificate (beta/mesh-client), a fingerprint.

    An identity or a certificate is all that were ever issued to it, since an older one serves as long as it
    lasts. A fingerprint may be shortened to 8 digits. Raises ConfigurationError when there is none.
    """
    leaves = list(leaves)
    digits = name.replace(":", "").lower()
    found = [
        leaf
        for leaf in leaves
        if name in (leaf.identity, leaf.label)
        or (len(digits) >= SHORTEST_FINGERPRINT and leaf.fingerprint.startswith(digits))
    ]
    if not found:
        names = sorted({text for leaf in leaves for text in (leaf.identity, leaf.label)})
        near = get_close_matches(name, names, n=1)
        raise ConfigurationError(
            f'no certificate is called "{name}"',
            fix=f'did you mean "{near[0]}"?'
            if near
            else "give an identity (reader), a certificate (beta/mesh-client) or a fingerprint: "
            "dagfleet certs list",
        )
    return found
