"""When somebody should worry about a certificate that an apply has not renewed."""

from datetime import datetime, timedelta
from enum import Enum

from dagfleet.pki.facts import CertificateFacts

WARN = timedelta(days=30)
FAIL = timedelta(days=7)
USUAL = timedelta(days=90)


class Residue(Enum):
    """How much of a certificate's life is left."""

    ENOUGH = "enough"
    SHORT = "short"
    ENDING = "ending"


def residue(facts: CertificateFacts, now: datetime) -> Residue:
    """Return SHORT below 30 days, ENDING below 7; less in proportion where leaves live less than 90 days."""
    left = facts.not_after - now
    scale = min(1.0, (facts.not_after - facts.not_before) / USUAL)
    if left < FAIL * scale:
        return Residue.ENDING
    return Residue.SHORT if left < WARN * scale else Residue.ENOUGH
