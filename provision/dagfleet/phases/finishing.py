"""Phase: say what was done and where it is."""

import time

from dagfleet.control.connect import endpoint
from dagfleet.phases.work import Work
from dagfleet.probe.units import duration


class Done:
    """The last line of an apply that went well."""

    title = "done"

    def run(self, work: Work) -> None:
        """Print the time it took and the web UI's address."""
        if not work.stopped:
            took = duration(time.monotonic() - work.started)
            what = f"release {work.release} · " if work.release else ""
            work.progress.line(self.title, f"{what}{took} · {endpoint(work.fleet_file).url}")
