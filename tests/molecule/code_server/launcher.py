"""Make the launcher's wheel, and print what the role needs to know of it."""

import json

from dagfleet.image import launcher_package

if __name__ == "__main__":
    package = launcher_package()
    print(json.dumps({"digest": package.digest, "archive": str(package.archive)}))
