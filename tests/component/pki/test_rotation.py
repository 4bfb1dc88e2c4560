"""Nobody notices a rotation: calls in constant loops, and an operator who is killed at every step."""

import multiprocessing
import signal
from pathlib import Path

import pytest
from dagfleet.pki import Authorities, inspect
from dagfleet.pki.rotation import STEPS, read_rotation

from tests.component.pki.load import Count, Doors
from tests.component.pki.loopback import ADDRESSES, Machine, operate, operate_until
from tests.component.pki.test_revocation import DOCKER, answer

PATIENCE_SECONDS = 120
OPERATORS = multiprocessing.get_context("forkserver")
OPERATORS.set_forkserver_preload(["tests.component.pki.loopback"])


def unharmed(counts: dict[str, Count]) -> None:
    failed = {name: count.failed[:3] for name, count in counts.items() if count.failed}
    assert not failed
    assert all(count.done > 10 for count in counts.values()), counts


def generations(folder: Path, authority: str) -> set[str]:
    """Which generations hosts' leaves come from."""
    return {
        str(inspect(certificate.pem.encode()).authority)
        for name in ADDRESSES
        for certificate in Machine(folder, name).report().certificates
        if inspect(certificate.pem.encode()).issuer.split()[1] == authority
    }


def trusted(folder: Path, authority: str) -> int:
    return (folder / f"hosts/alpha/{authority}-ca.crt").read_text().count("BEGIN CERTIFICATE")


def test_renewing_and_rotating_everything_fails_no_call(folder: Path, doors: Doors) -> None:
    before = Machine(folder, "beta").report()
    with doors.under_load() as counts:
        operate(folder, "renew")
        renewed = Machine(folder, "beta").report()
        operate(folder, "rotate", "docker")
        operate(folder, "rotate", "mesh")
    unharmed(counts)
    assert {each.pem for each in before.certificates}.isdisjoint(each.pem for each in renewed.certificates)
    for authority in ("docker", "mesh"):
        assert generations(folder, authority) == {f"loopback {authority} g2"}
        assert trusted(folder, authority) == 1


@pytest.mark.parametrize("authority", ["mesh", "docker"])
def test_an_operator_killed_at_every_step_goes_on_and_fails_no_call(
    folder: Path, doors: Doors, authority: str
) -> None:
    before = Authorities.load(folder / ".dagfleet/pki").signer(authority).name
    assert before
    with doors.under_load() as counts:
        for step in STEPS:
            for hosts in (0, len(ADDRESSES)):
                killed = OPERATORS.Process(
                    target=operate_until, args=(folder, step, hosts, "rotate", authority)
                )
                killed.start()
                killed.join(timeout=PATIENCE_SECONDS)
                assert killed.exitcode == -signal.SIGKILL, f"it was not killed at {step}, {hosts} hosts"
                journal = read_rotation(folder / ".dagfleet/pki" / authority)
                assert journal
                assert (journal.step, len(journal.hosts)) == (step, hosts)
        operate(folder, "rotate", authority)
    unharmed(counts)
    assert read_rotation(folder / ".dagfleet/pki" / authority) is None
    assert generations(folder, authority) == {str(before.successor())}
    assert trusted(folder, authority) == 1


def test_an_authority_that_was_rotated_away_opens_no_door(
    folder: Path, doors: Doors, copy_of_the_store: Path
) -> None:
    old = copy_of_the_store / "hosts"
    assert answer(doors, DOCKER, old) == "served"
    operate(folder, "rotate", "docker")
    assert answer(doors, DOCKER, old) == "TLSV1_ALERT_UNKNOWN_CA"
