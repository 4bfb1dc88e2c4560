"""The one question every host is asked: a pyinfra fact that takes a single round trip."""

import shlex
import time
from importlib import resources

from pyinfra.api.facts import FactBase

from dagfleet.paths import bundle
from dagfleet.probe.parse import parse
from dagfleet.probe.report import HostReport

# The login user's way to root is a finding of its own: tried here, not by pyinfra, which would only fail.
_WRAPPER = """\
echo @@clock; date +%s.%N
echo @@privilege
if [ "$(id -u)" = 0 ]; then echo root; sh -c "$script"
elif sudo -n true 2>/dev/null; then echo sudo; sudo -n sh -c "$script"
elif command -v sudo >/dev/null; then echo password; sh -c "$script"
else echo none; sh -c "$script"
fi 2>/dev/null
true"""


class Report(FactBase[HostReport]):
    """A HostReport; None when the host stopped answering."""

    def __init__(self) -> None:
        self._asked_at = time.time()

    def command(self) -> str:
        """Return the script with its wrapper."""
        report = resources.files("dagfleet.probe").joinpath("report.sh").read_text()
        # The role that seals a host and the question whether the seal holds are one script.
        seal = (bundle() / "roles" / "base" / "files" / "seal.sh").read_text()
        script = f"{report}section state\nif [ -s /etc/dagfleet/seal ]; then\n{seal}\nfi\nsection end\n"
        self._asked_at = time.time()
        return f"script={shlex.quote(script)}\n{_WRAPPER}"

    def process(self, output: list[str]) -> HostReport:
        """Return what the host said."""
        return parse(output, asked_at=self._asked_at)
