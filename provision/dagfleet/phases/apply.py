"""The phases of an apply, in order."""

from dagfleet.phases.admitting import Admit
from dagfleet.phases.certificates import Certificates
from dagfleet.phases.checking import Check
from dagfleet.phases.finishing import Done
from dagfleet.phases.images import Images
from dagfleet.phases.locking import Lock
from dagfleet.phases.phase import Phase
from dagfleet.phases.playbooks import Hosts, Record, Services
from dagfleet.phases.rehearsing import Rehearse
from dagfleet.phases.verifying import Verify

PHASES: tuple[Phase, ...] = (
    Lock(), Admit(), Check(), Certificates(), Hosts(), Images(), Services(), Record(), Verify(), Rehearse(),
    Done(),
)  # fmt: skip
