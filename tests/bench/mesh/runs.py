"""Many runs at one database: each opens a connection for a few statements and closes it, as Dagster does."""

import statistics
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2

STATEMENTS = 19  # what one call of dagster-postgres sends, catalogue reflection included
PAUSE_SECONDS = 1.0


@dataclass
class Crowd:
    """What happened to `clients` runs in `seconds`: how long calls took, and which failed."""

    clients: int
    seconds: float
    taken: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def calls_a_second(self) -> float:
        """Finished calls, of all runs together."""
        return len(self.taken) / self.seconds

    def percentile(self, percent: int) -> float:
        """Seconds within which so many of the calls were over, waiting for a connection included."""
        return statistics.quantiles(self.taken, n=100)[percent - 1]


def crowd(connect: Callable[[], "psycopg2.extensions.connection"], *, clients: int, seconds: float) -> Crowd:
    """Let `clients` work at once for `seconds`."""
    seen = Crowd(clients=clients, seconds=seconds)
    start = time.monotonic()
    end = start + seconds

    def run(number: int) -> None:
        time.sleep(PAUSE_SECONDS * number / clients)
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                with closing(connect()) as connection, connection.cursor() as cursor:
                    for _ in range(STATEMENTS):
                        cursor.execute("SELECT 1")
                seen.taken.append(time.perf_counter() - began)
            except psycopg2.Error as error:
                seen.errors.append(str(error))
            time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.seconds = time.monotonic() - start  # who waits when time is up still finishes
    return seen
