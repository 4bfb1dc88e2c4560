"""Phase: put what was decided into fleet.yml."""

import stat
from dataclasses import dataclass

from dagfleet.errors import ConfigurationError
from dagfleet.phases.work import Work
from dagfleet.pki.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class WriteFleet:
    """Replaces the text that was read by the new one; comes once nothing speaks against it any more."""

    before: str
    after: str
    what: str
    title: str = "file"

    def run(self, work: Work) -> None:
        """Write the file; raises ConfigurationError when somebody has changed it meanwhile."""
        path = work.fleet_file.path.resolve()
        if path.read_text(encoding="utf-8") != self.before:
            raise ConfigurationError(
                f"{work.fleet_file.path} was changed while this command worked", fix="run it again"
            )
        write_atomically(path, self.after.encode(), mode=stat.S_IMODE(path.stat().st_mode))
        work.touched = True
        work.progress.line(self.title, f"{self.what} · {work.fleet_file.path.name} written")
