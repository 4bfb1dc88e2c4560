"""Push an image of one layer by loopback; print its digest. usage: push.py NAME TAG CONTENT"""

import hashlib
import json
import sys
from urllib.request import Request, urlopen

REGISTRY = "http://127.0.0.1:5001"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def ask(method: str, url: str, body: bytes = b"", **headers: str) -> dict[str, str]:
    request = Request(url, data=body or None, headers=headers, method=method)  # noqa: S310 -- loopback
    with urlopen(request, timeout=30) as answer:  # noqa: S310
        return {name.lower(): value for name, value in answer.headers.items()}


def blob(name: str, content: bytes) -> dict[str, object]:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    where = ask("POST", f"{REGISTRY}/v2/{name}/blobs/uploads/")["location"]
    ask("PUT", f"{where}&digest={digest}", content, **{"Content-Type": "application/octet-stream"})
    return {"digest": digest, "size": len(content)}


def main(name: str, tag: str, content: str) -> None:
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **blob(name, b"{}")},
        "layers": [
            {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **blob(name, content.encode())}
        ],
    }
    body = json.dumps(manifest).encode()
    print(
        ask("PUT", f"{REGISTRY}/v2/{name}/manifests/{tag}", body, **{"Content-Type": MANIFEST})[
            "docker-content-digest"
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
