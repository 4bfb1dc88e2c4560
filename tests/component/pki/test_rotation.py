"""Nobody notices a rotation: calls in constant loops, and an operator who is killed at every step."""

import json
import multiprocessing
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from dagfleet.pki import Authorities, inspect
from dagfleet.pki.rotation import STEPS, read_rotation

from tests.component.pki.load import Count, Doors
from tests.component.pki.loopback import ADDRESSES, Machine, operate
from tests.component.pki.test_revocation import DOCKER, answer

STEP_SECONDS = 120
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


def test_an_operator_killed_at_every_step_goes_on_and_fails_no_call(folder: Path, doors: Doors) -> None:
    before = Authorities.load(folder / ".dagfleet/pki").signer("mesh").name
    assert before
    journal = folder / ".dagfleet/pki/mesh"
    killed: list[tuple[str, bool]] = []
    wanted = [(step, done) for step in STEPS for done in (False, True)]
    with doors.under_load() as counts:
        for step, done in wanted:
            operator = start(folder, "rotate", "mesh")
            reached = wait_for(journal, operator, step, done=done)
            operator.kill()
            operator.join(timeout=STEP_SECONDS)
            killed.append((step, done))
            assert reached, f"it ended before {step}, done: {done}"
        last = start(folder, "rotate", "mesh")
        last.join(timeout=STEP_SECONDS)
        assert last.exitcode == 0
    unharmed(counts)
    assert killed == wanted
    assert read_rotation(journal) is None
    assert generations(folder, "mesh") == {str(before.successor())}
    assert trusted(folder, "mesh") == 1


def start(folder: Path, *action: str) -> BaseProcess:
    """Start an operator that can be killed, forked from a process that has everything imported already."""
    operator = OPERATORS.Process(target=operate, args=(folder, *action))
    operator.start()
    return operator


def wait_for(journal: Path, operator: BaseProcess, step: str, *, done: bool) -> bool:
    """Wait until the journal is at `step`, with every host or with none; False when the operator ends first.

    The operator works in milliseconds where the journal does not say: whatever it did beyond is killed, too.
    """
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        try:
            facts = json.loads((journal / "rotation.json").read_text())
        except FileNotFoundError:
            facts = {}
        if facts:
            at, having = STEPS.index(facts["step"]), len(facts["hosts"])
            if (at, having > 0) >= (STEPS.index(step), done):
                return True
        if not operator.is_alive():
            return False
        time.sleep(0.001)
    pytest.fail(f"the journal did not come to {step}")


def test_an_authority_that_was_rotated_away_opens_no_door(
    folder: Path, doors: Doors, copy_of_the_store: Path
) -> None:
    old = copy_of_the_store / "hosts"
    assert answer(doors, DOCKER, old) == "served"
    operate(folder, "rotate", "docker")
    assert answer(doors, DOCKER, old) == "TLSV1_ALERT_UNKNOWN_CA"
