"""Ask the code server of `reporting` what it serves, and the kernel as whom and with which environment it works."""

import json
import sys
from pathlib import Path

from dagster._grpc.client import DagsterGrpcClient


def main(port: str, pid: str) -> None:
    """Print {repositories, user, password}."""
    answer = json.loads(DagsterGrpcClient(host="127.0.0.1", port=int(port)).list_repositories())
    process = Path("/proc", pid)
    environment = dict(entry.split("=", 1) for entry in (process / "environ").read_text().split("\0") if entry)
    print(
        json.dumps(
            {
                "repositories": [symbol["repository_name"] for symbol in answer["repository_symbols"]],
                "user": process.owner(),
                "password": environment["WAREHOUSE_PASSWORD"],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
