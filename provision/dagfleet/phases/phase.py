"""What a phase is, and how a list of them is run."""

from collections.abc import Sequence
from typing import Protocol

from dagfleet.errors import EXIT_UNREACHABLE, DagfleetError
from dagfleet.phases.interrupted import StoppedError
from dagfleet.phases.work import Work
from dagfleet.probe.units import count

UNTOUCHED = "Nothing was touched."
RESUME = "What came before is done; the next {command} goes on from here."


class Phase(Protocol):
    """One step of an apply."""

    @property
    def title(self) -> str:
        """Return the label in front of its lines."""

    def run(self, work: Work) -> None:
        """Do the step; raise DagfleetError when nothing can go on."""


class HostsStoppedError(DagfleetError):
    """Some hosts could not be brought to the wanted state; the others were."""


class UndoneError(DagfleetError):
    """What was begun has been taken back, and the message says all of that."""


def run(work: Work, phases: Sequence[Phase]) -> None:
    """Run the phases in order, the lock confirmed before each and given back at the end, whatever happens.

    Raises HostsStoppedError when hosts had to stay behind, and StoppedError on Ctrl-C.
    """
    at = phases[0]
    with work.lock:
        try:
            for at in phases:
                if at is not phases[0]:
                    work.lock.confirm()
                at.run(work)
                if work.hosts and not work.going:
                    break
        except KeyboardInterrupt:
            raise _interrupted(work, at) from None
        except UndoneError:
            raise
        except DagfleetError as error:
            error.add_note(RESUME.format(command=work.command) if work.touched else UNTOUCHED)
            raise
    if work.stopped:
        raise _stopped(work)


def _interrupted(work: Work, at: Phase) -> StoppedError:
    if not work.touched:
        return StoppedError(f"Stopped in phase {at.title}", fix=UNTOUCHED)
    return StoppedError(
        f"Stopped in phase {at.title}: what came before is done, {', '.join(work.going)} may be half-way",
        fix=f"nothing has to be undone, the next {work.command} finishes the job",
    )


def _stopped(work: Work) -> HostsStoppedError:
    behind = "; ".join(
        f'{failure.host} stopped at "{failure.task}": {failure.sentence.rstrip(".")}'
        for failure in work.stopped.values()
    )
    going = f"{', '.join(work.going)} {'is' if len(work.going) == 1 else 'are'} done"
    done = going if work.going else "No host is done"
    error = HostsStoppedError(
        f"{count(len(work.stopped), 'host')} of {len(work.hosts)} stayed behind. {behind}. {done}",
        fix=f"mend it, then {work.command} finishes the job. Everything that was said: {work.log.path}",
    )
    if all(failure.unreachable for failure in work.stopped.values()):
        error.exit_code = EXIT_UNREACHABLE
    return error
