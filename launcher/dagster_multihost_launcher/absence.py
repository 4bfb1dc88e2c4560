"""Since when a Docker host has not answered, over restarts of the daemon too."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from dagster import DagsterInstance

_KEY = "dagster_multihost_launcher/absent/{}"
_KEPT_EVERY = 10.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Absence:
    """A host that does not answer. `counted` is for how many seconds that was observed."""

    since: float
    counted: float

    @property
    def in_words(self) -> str:
        """Since when and for how long, for people."""
        return f"since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC, {self.counted:.0f} s"


class Absences:
    """Counts for how long hosts have not answered.

    Two looks at a host that fail, with none that succeeds between them, count the time between them. What
    is counted is kept in the instance's key-value table, so a new process goes on counting where the last
    one stopped. The time when no process looked is not counted: nobody knows whether the host answered.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._absent: dict[str, Absence] = {}
        self._looked: dict[str, float] = {}
        self._kept: dict[str, float] = {}
        self._answered: set[str] = set()

    def noticed(self, instance: DagsterInstance, host_name: str) -> Absence:
        """Note that the host does not answer now, and return for how long it has not."""
        with self._lock:
            self._answered.discard(host_name)
            looked = self._monotonic()
            known = self._absent.get(host_name) or _kept(instance, host_name)
            absence = known or Absence(since=self._now(), counted=0.0)
            if host_name in self._looked:
                absence = replace(absence, counted=absence.counted + looked - self._looked[host_name])
            self._absent[host_name], self._looked[host_name] = absence, looked
            if looked - self._kept.get(host_name, float("-inf")) >= _KEPT_EVERY:
                self._kept[host_name] = looked
                _keep(instance, host_name, json.dumps(asdict(absence)))
        return absence

    def answered(self, instance: DagsterInstance, host_name: str) -> None:
        """Note that the host answers."""
        with self._lock:
            if host_name in self._answered:
                return
            if self._absent.pop(host_name, None) or _kept(instance, host_name):
                _keep(instance, host_name, "")
            self._looked.pop(host_name, None)
            self._kept.pop(host_name, None)
            self._answered.add(host_name)

    def answers(self, host_name: str) -> bool | None:
        """Say whether the host answered when it was last asked; None if it was not asked yet."""
        with self._lock:
            if host_name in self._answered:
                return True
            return False if host_name in self._absent else None

    def of(self, host_name: str) -> Absence | None:
        """Return what is counted of a host that does not answer."""
        with self._lock:
            return self._absent.get(host_name)


def _kept(instance: DagsterInstance, host_name: str) -> Absence | None:
    key = _KEY.format(host_name)
    text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    return Absence(**json.loads(text)) if text else None


def _keep(instance: DagsterInstance, host_name: str, text: str) -> None:
    instance.daemon_cursor_storage.set_cursor_values({_KEY.format(host_name): text})
