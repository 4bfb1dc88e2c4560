"""The ledger on PostgreSQL: batched, conditional and fenced by the leader's epoch."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy

from clt_queued_run_coordinator.queue.ledger import Claim, Claimed, Reading
from clt_queued_run_coordinator.queue.runs import QueuedRun
from clt_queued_run_coordinator.queue.snapshot import Hold, Pause
from clt_queued_run_coordinator.storage import events, rows, statements
from clt_queued_run_coordinator.storage.together import Together

_HandOver = tuple[Sequence[Claim], Sequence[Claim]]


@dataclass(frozen=True)
class OpenClaim:
    """A claim that is not settled: `age` seconds since its last step, and whether it went to its launcher."""

    claim: Claim
    age: float
    handed: bool


class PostgresLedger:
    """Implements `Ledger`. `epoch` is the term that the decisions belong to: no run is claimed in another."""

    def __init__(self, engine: sqlalchemy.Engine, *, identity: str) -> None:
        self._engine = engine
        self._identity = identity
        self.epoch = 0
        self._tokens = itertools.count(1)
        # Fifty lanes that each lock the leader's row keep each other waiting.
        self._hand_overs: Together[_HandOver, Collection[str]] = Together(self._hand_over)

    def everything(self, keys: frozenset[str]) -> Reading:
        """Read all queued and active runs."""
        with self._engine.connect() as connection:
            return rows.everything(connection, keys)

    def some(self, run_ids: Collection[str], keys: frozenset[str]) -> Reading:
        """Read those of these runs that are queued or active."""
        with self._engine.connect() as connection:
            return rows.some(connection, run_ids, keys)

    def changed(self, known: Mapping[str, str], since: float) -> set[str]:
        """Compare statuses only; no run is deserialised for it."""
        seen: set[str] = set()
        differing: set[str] = set()
        with self._engine.connect() as connection:
            for run_id, status, written in rows.statuses(connection):
                seen.add(run_id)
                if known.get(run_id) != status or (status == "QUEUED" and written >= since):
                    differing.add(run_id)
        return differing | (known.keys() - seen)

    def pauses(self) -> Sequence[Pause]:
        """Read what is paused."""
        with self._engine.connect() as connection:
            return rows.pauses(connection)

    def holds(self) -> Sequence[Hold]:
        """Read the holds that are not over."""
        with self._engine.connect() as connection:
            return rows.holds(connection)

    def claim(self, runs: Sequence[QueuedRun], now: float) -> Sequence[Claimed]:
        """Move runs from QUEUED to STARTING in one statement, with the event and a note of the claim."""
        token = next(self._tokens)
        found = self._execute(
            statements.CLAIM,
            ids=[run.run_id for run in runs],
            events=[events.starting(run.run_id, run.job_name, now).body for run in runs],
            at=_utc(now),
            epoch=self.epoch,
            identity=self._identity,
            token=token,
        )
        bodies = {row.run_id: row.run_body for row in found}
        return [
            Claimed(run, Claim(run.run_id, self._identity, token, bodies[run.run_id]))
            for run in runs
            if run.run_id in bodies
        ]

    def hand_over(self, claims: Sequence[Claim], done: Sequence[Claim]) -> Collection[str]:
        """Note what goes to its launcher and forget what came back, one statement for all who ask."""
        return self._hand_overs((claims, done))

    def _hand_over(self, asked: Sequence[_HandOver]) -> Collection[str]:
        claims = [claim for some, _ in asked for claim in some]
        done = [claim for _, some in asked for claim in some]
        over = {"done": [claim.run_id for claim in done], "done_tokens": [claim.token for claim in done]}
        if not claims:
            self._execute(statements.DONE, **over, identity=self._identity)
            return ()
        found = self._execute(
            statements.HAND_OVER,
            **over,
            ids=[claim.run_id for claim in claims],
            tokens=[claim.token for claim in claims],
            epoch=self.epoch,
            identity=self._identity,
        )
        return {row.run_id for row in found}

    def give_back(self, claims: Sequence[Claim], reason: str | None, now: float) -> Collection[str]:
        """Move claimed runs back to QUEUED in one statement, if the claims still stand."""
        found = self._execute(
            statements.GIVE_BACK,
            ids=[claim.run_id for claim in claims],
            identities=[claim.owner for claim in claims],
            tokens=[claim.token for claim in claims],
            events=[events.enqueued_again(claim.run(), reason, now).body for claim in claims],
            at=_utc(now),
        )
        return {row.run_id for row in found}

    def adopt_not_handed(self) -> Sequence[Claim]:
        """Take over the claims of earlier terms that never reached a launcher."""
        token = next(self._tokens)
        found = self._execute(statements.ADOPT, epoch=self.epoch, identity=self._identity, token=token)
        return [Claim(row.run_id, self._identity, token, row.run_body) for row in found]

    def settled(self, claim: Claim) -> None:
        """Drop a claim, whoever owns it: its run was launched, or is left to run monitoring."""
        self._execute(statements.DONE, done=[claim.run_id], done_tokens=[claim.token], identity=claim.owner)

    def open_claims(self) -> Sequence[OpenClaim]:
        """Read all claims on runs that are still STARTING."""
        return [
            OpenClaim(Claim(row.run_id, row.identity, row.token, row.run_body), row.age, row.handed)
            for row in self._execute(statements.CLAIMS)
        ]

    def hold(self, hold: Hold) -> None:
        """Keep a hold for whoever asks why, and for the next leader."""
        self._execute(
            statements.HOLD, kind=hold.kind, name=hold.name, not_before=hold.not_before, reason=hold.reason
        )

    def explain(self, sentences: Mapping[QueuedRun, str], now: float) -> None:
        """Write a line on each run's log and keep it, in one statement."""
        notes = [
            events.note(run.run_id, run.job_name, f"Waiting: {sentence}", now)
            for run, sentence in sentences.items()
        ]
        self._execute(
            statements.EXPLAIN,
            ids=[run.run_id for run in sentences],
            reasons=list(sentences.values()),
            events=[entry.body for entry in notes],
            at=_utc(now),
        )

    def explained(self) -> Mapping[str, str]:
        """Read what was written on which run."""
        found = self._execute(sqlalchemy.text("select run_id, reason from dagfleet_queue_reasons"))
        return {row.run_id: row.reason for row in found}

    def expire(self, runs: Sequence[QueuedRun], seconds: int, now: float) -> Collection[str]:
        """Cancel in one statement those that were queued `seconds` ago and still are."""
        message = f"This run expired after {seconds} s in the queue."
        pairs = [events.canceled(run.run_id, run.job_name, message, now) for run in runs]
        found = self._execute(
            statements.EXPIRE,
            ids=[run.run_id for run in runs],
            canceling=[canceling.body for canceling, _ in pairs],
            canceled=[canceled.body for _, canceled in pairs],
            at=_utc(now),
            now=now,
            queued_before=_utc(now - seconds),
            epoch=self.epoch,
        )
        return {row.run_id for row in found}

    def forget(self) -> None:
        """Delete notes about runs that moved on by other means."""
        for statement in (statements.FORGET_OVER, statements.FORGET_REASONS, statements.FORGET_HOLDS):
            self._execute(statement)

    def _execute(self, statement: sqlalchemy.TextClause, **parameters: Any) -> Sequence[Any]:
        with self._engine.connect() as connection:
            result = connection.execute(statement, parameters)
            return result.all() if result.returns_rows else ()


def _utc(now: float) -> datetime:
    # Dagster stores UTC without a zone.
    return datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
