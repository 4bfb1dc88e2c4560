"""Back Dagfleet's control host up: python3 -IB /usr/local/lib/dagfleet/backup create."""

import sys

from dagfleet_backup.commands import main

sys.exit(main(sys.argv[1:]))
