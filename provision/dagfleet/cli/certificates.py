"""Certificates as people read them, and as JSON."""

import json
from datetime import datetime

from dagfleet.cli.inventoried import Held, Inventoried
from dagfleet.cli.terminal import Terminal
from dagfleet.pki import CertificateFacts
from dagfleet.pki.validity import Residue, residue

HEADINGS = ("CERTIFICATE", "HOST", "IDENTITY", "EXPIRES", "LEFT", "AUTHORITY", "FINGERPRINT", "WHERE")
COLOURS = {Residue.ENOUGH: None, Residue.SHORT: "yellow", Residue.ENDING: "red"}


def print_table(found: Inventoried, terminal: Terminal) -> None:
    """Print a line a certificate, then authorities, and rotations that wait to go on."""
    rows = [_row(held, found.now) for held in found.held]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    terminal.say(terminal.paint(_line(HEADINGS, widths), bold=True))
    for held, row in zip(found.held, rows, strict=True):
        colour = "red" if held.revoked or not held.facts else COLOURS[residue(held.facts, found.now)]
        terminal.say(terminal.paint(_line(row, widths), fg=colour))
    if found.trusted:
        lasting = ", ".join(f"{each.name} until {each.until:%Y-%m-%d}" for each in found.trusted)
        terminal.say(f"authorities: {lasting} (keys encrypted, on this machine only)")
    for rotation in found.rotations:
        terminal.say(f"{rotation}; go on with: dagfleet certs rotate-ca {rotation.authority}")
    for error in found.unreachable.values():
        terminal.say(terminal.paint(error.message, fg="red"))


def print_json(found: Inventoried, terminal: Terminal) -> None:
    """Print the same facts as JSON."""
    terminal.say(json.dumps({
        "fleet": found.fleet.name,
        "certificates": [_as_json(held, found.now) for held in found.held],
        "authorities": [
            {
                "name": each.name,
                "authority": each.authority,
                "expires": each.until.isoformat(),
                "signs": each.signs,
            }
            for each in found.trusted
        ],
        "rotations": [
            {
                "authority": each.authority,
                "step": each.number,
                "of": 4,
                "name": each.step,
                "hosts": each.hosts,
                "since": each.since,
                "by": each.who,
            }
            for each in found.rotations
        ],
        "unreachable": {name: error.message for name, error in found.unreachable.items()},
    }, indent=2))  # fmt: skip


def left(facts: CertificateFacts, now: datetime) -> str:
    """Return the time that is left, as people read it: `89 d`, `5 h`, `none`."""
    seconds = (facts.not_after - now).total_seconds()
    if seconds <= 0:
        return "none"
    return f"{int(seconds // 86400)} d" if seconds >= 86400 else f"{int(seconds // 3600)} h"


def _row(held: Held, now: datetime) -> tuple[str, ...]:
    spec, facts = held.spec, held.facts
    kind = "web server" if spec.name == "web" else f"{spec.authority} {spec.usage}"
    named = (kind, spec.host or "-", spec.common_name)
    if facts is None:
        return (*named, "-", "-", "-", "-", held.where)
    return (
        *named,
        f"{facts.not_after:%Y-%m-%d}",
        "revoked" if held.revoked else left(facts, now),
        facts.issuer,
        facts.fingerprint[:12],
        held.where,
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _as_json(held: Held, now: datetime) -> dict[str, object]:
    spec, facts = held.spec, held.facts
    named: dict[str, object] = {
        "certificate": spec.name,
        "host": spec.host,
        "identity": spec.common_name,
        "usage": spec.usage,
        "where": held.where,
        "deployed": held.deployed,
        "revoked": held.revoked,
    }
    if facts is None:
        return named
    return named | {
        "expires": facts.not_after.isoformat(),
        "left_seconds": int((facts.not_after - now).total_seconds()),
        "authority": facts.issuer,
        "serial": f"{facts.serial:x}",
        "fingerprint": facts.fingerprint,
        "names": [*facts.dns_names, *facts.ip_addresses],
    }
