"""Write the reference of fleet.yml from the fleet model; with --check, only say whether it is current."""

import json
import sys
from pathlib import Path

from dagfleet.fleet import json_schema
from dagfleet.fleet.reference import reference_page

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; the exit code is 1 when a checked page is stale."""
    schema = json_schema()
    pages = {
        DOCS / "fleet-yml.md": reference_page(schema),
        DOCS / "fleet.schema.json": json.dumps(schema, indent=2) + "\n",
    }
    stale = [page for page, text in pages.items() if not page.exists() or page.read_text() != text]
    if "--check" not in arguments:
        for page in stale:
            page.write_text(pages[page])
        return 0
    for page in stale:
        print(f"docs/{page.name} does not say what the fleet model says; write it again with: make docs")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
