"""Settles claims that a daemon left behind: launched or not, a run is not lost and not launched twice.

How it is known whether a claimed run was launched:

- A claim that was never handed over was not launched, for the launcher is only called after that note.
- A claim that was handed over and noted as done was launched.
- In between only the launcher can tell (`check_run_worker_health`). It is asked when nobody can launch any
  more: the process that had the claim is certainly dead, or has not touched it for `GRACE_SECONDS`.
- Where the launcher cannot tell, the run is left to Dagster's run monitoring, as Dagster's own daemon does.
"""

import logging
import time
from collections.abc import Sequence

from dagster import DagsterInstance
from dagster._core.launcher.base import WorkerStatus

from clt_queued_run_coordinator.queue.lanes import Lanes
from clt_queued_run_coordinator.queue.ledger import Claim
from clt_queued_run_coordinator.queue.observer import Observer
from clt_queued_run_coordinator.queue.process import certainly_dead
from clt_queued_run_coordinator.storage.ledger import PostgresLedger

logger = logging.getLogger("dagster.daemon.FleetQueueDaemon")

# Longer than a launcher may need for one launch: a Docker host that pulls an image, a code server that loads.
GRACE_SECONDS = 120.0
# An own claim is in doubt only while its statement is under way; see `Lane`.
ORPHAN_SECONDS = 5.0


class Recovery:
    """Called by the leader: once when it begins to lead, then every now and then."""

    def __init__(
        self,
        instance: DagsterInstance,
        *,
        ledger: PostgresLedger,
        lanes: Lanes,
        observer: Observer,
        identity: str,
    ) -> None:
        self._instance = instance
        self._ledger = ledger
        self._lanes = lanes
        self._observer = observer
        self._identity = identity

    def begin(self) -> None:
        """Requeue what earlier leaders claimed and never handed over."""
        adopted = self._ledger.adopt_not_handed()
        if adopted:
            self._give_back(adopted, "the daemon stopped before it launched this run.")

    def tidy(self) -> None:
        """Delete notes about runs that moved on by other means."""
        self._ledger.forget()

    def settle(self) -> None:
        """Settle what can be settled now; the rest stays for the next time."""
        for open_claim in self._ledger.open_claims():
            claim = open_claim.claim
            if claim.owner == self._identity:
                # The database did not answer when it was to be handed over: it never reached the launcher.
                if open_claim.age > ORPHAN_SECONDS and claim.run_id not in self._lanes.holding():
                    self._give_back([claim], "the database did not answer when it was to be launched.")
            elif not open_claim.handed:
                self.begin()
            elif certainly_dead(claim.owner) or open_claim.age > GRACE_SECONDS:
                self._ask_launcher(claim)

    def _ask_launcher(self, claim: Claim) -> None:
        launcher = self._instance.run_launcher
        status = WorkerStatus.UNKNOWN
        if launcher.supports_check_run_worker_health:
            try:
                status = launcher.check_run_worker_health(claim.run()).status
            except Exception as error:
                logger.warning("The launcher cannot tell about run %s: %s", claim.run_id, error)
                return
        if status == WorkerStatus.NOT_FOUND:
            self._give_back([claim], "the daemon stopped while it launched this run; nothing was started.")
            return
        if status == WorkerStatus.UNKNOWN:
            self._instance.report_engine_event(
                "The daemon stopped while it launched this run, and the launcher cannot tell whether it runs."
                " Run monitoring fails it if it does not start.",
                claim.run(),
            )
        self._ledger.settled(claim)

    def _give_back(self, claims: Sequence[Claim], reason: str) -> None:
        back = self._ledger.give_back(claims, reason, time.time())
        for claim in claims:
            if claim.run_id in back:
                origin = claim.run().remote_job_origin
                location = origin.location_name if origin else None
                self._observer.requeued(location=location, cause="recovered")
