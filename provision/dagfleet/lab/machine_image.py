"""The practice machines' image: a Debian with systemd and sshd, made without any registry."""

import fcntl
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from dagfleet.errors import DagfleetError
from dagfleet.lab import engine
from dagfleet.paths import cache

REPOSITORY = "dagfleet-lab/machine"
SUITE = "bookworm"
INSTALLED = (
    "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt", "sudo", "iproute2", "iptables",
    "nftables", "ca-certificates", "procps", "iputils-ping",
)  # fmt: skip
# Downloaded, not installed: roles install them for real, without the network and the wait.
CACHED = (
    "docker.io", "haproxy", "postgresql", "pgbouncer", "python3-psycopg2", "python3-requests",
    "python3-cryptography", "python3-venv", "python3-packaging", "python3-passlib", "python3-h2",
    "acl", "age", "openssl", "socat", "curl", "rsyslog", "docker-registry",
)  # fmt: skip

# What other releases of Debian cache besides: where one package became two.
CACHED_BESIDES = {"bookworm": (), "trixie": ("docker-cli",)}

# Pause and memory limits of a machine must reach the containers inside it, so its dockerd places them
# under the machine's own cgroup. Only cgroup v1 names a freezer hierarchy; v2 nests by itself.
# Docker from 26.0.2 on starts no container whose IPv6 it cannot switch off. In a container /proc/sys is
# read-only, so these machines have to be told not to mind.
DOCKER_DROP_IN = """\
[Service]
Environment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1
ExecStart=
ExecStart=/bin/sh -c 'parent=$$(sed -n "s/^[0-9]*:freezer://p" /proc/1/cgroup); \
exec /usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock \
$${parent:+--cgroup-parent=$$parent} "$$@"' dockerd
"""

# Host keys are a machine's own: made at its first boot, never part of the image.
SSH_DROP_IN = """\
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'k=/etc/ssh/ssh_host_ed25519_key; test -e $k || ssh-keygen -q -t ed25519 -N "" -f $k'
ExecStartPre=/usr/sbin/sshd -t
"""

CUSTOMIZE = """\
set -eu
root=$1
chroot "$root" useradd --create-home --shell /bin/bash ops
printf 'ops ALL=(ALL) NOPASSWD: ALL\\n' >"$root/etc/sudoers.d/ops"
chmod 0440 "$root/etc/sudoers.d/ops"
install -d -m 0700 -o 1000 -g 1000 "$root/home/ops/.ssh"
rm -f "$root"/etc/ssh/ssh_host_*
printf 'force-unsafe-io\\n' >"$root/etc/dpkg/dpkg.cfg.d/practice"
printf 'APT::Install-Recommends "false";\\n' >"$root/etc/apt/apt.conf.d/practice"
# The journal in memory: a practice machine lives for minutes.
install -d "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system/docker.service.d" \\
    "$root/etc/systemd/system/ssh.service.d"
printf '[Journal]\\nStorage=volatile\\n' >"$root/etc/systemd/journald.conf.d/practice.conf"
cp "$DROP_INS/docker.conf" "$root/etc/systemd/system/docker.service.d/10-practice-cgroup.conf"
cp "$DROP_INS/ssh.conf" "$root/etc/systemd/system/ssh.service.d/10-practice-host-key.conf"
ln -sf /dev/null "$root/etc/systemd/system/apt-daily.timer"
ln -sf /dev/null "$root/etc/systemd/system/apt-daily-upgrade.timer"
chroot "$root" apt-get install -y -qq --download-only --no-install-recommends $CACHED
"""


def reference(suite: str = SUITE) -> str:
    """Return the name of the image of a release of Debian, with a tag that changes when the recipe does."""
    recipe = repr((suite, INSTALLED, _cached(suite), DOCKER_DROP_IN, SSH_DROP_IN, CUSTOMIZE))
    return f"{REPOSITORY}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def ensure(client: docker.DockerClient, suite: str = SUITE) -> str:
    """Make the image when this machine's engine lacks it; return its reference.

    `suite` is a release of Debian by its code name, one of `CACHED_BESIDES`. The archive stays in the cache
    folder: an engine that was emptied gets it back in seconds.
    """
    name = reference(suite)
    try:
        client.images.get(name)
    except ImageNotFound:
        folder = cache() / "lab" if suite == SUITE else cache() / "lab" / suite
        archive = folder / f"machine-{name.rpartition(':')[2]}.tar"
        with _alone(archive.parent):
            if not archive.exists():
                _bootstrap(archive, suite)
        repository, _, tag = name.rpartition(":")
        client.api.import_image_from_file(
            str(archive), repository=repository, tag=tag, changes=['CMD ["/sbin/init"]']
        )
    return name


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from making the same archive meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "machine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cached(suite: str) -> tuple[str, ...]:
    return (*CACHED, *CACHED_BESIDES[suite])


def _bootstrap(archive: Path, suite: str) -> None:
    engine.ensure_packages(mmdebstrap="mmdebstrap")
    for outdated in archive.parent.glob("machine-*.tar"):
        outdated.unlink()
    with tempfile.TemporaryDirectory() as folder:
        hook = Path(folder) / "customize.sh"
        (Path(folder) / "docker.conf").write_text(DOCKER_DROP_IN)
        (Path(folder) / "ssh.conf").write_text(SSH_DROP_IN)
        hook.write_text(f'CACHED="{" ".join(_cached(suite))}"\nDROP_INS={folder}\n{CUSTOMIZE}')
        unfinished = archive.with_suffix(".part.tar")
        done = subprocess.run(
            [
                "mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--skip=cleanup/apt",
                "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                f"--include={','.join(INSTALLED)}", f'--customize-hook=sh {hook} "$1"',
                suite, str(unfinished),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            unfinished.unlink(missing_ok=True)
            raise DagfleetError(
                f"mmdebstrap could not make the machine image of {suite}: {done.stderr.strip()[-500:]}",
                fix="check this machine's package sources, then try again",
            )
        unfinished.rename(archive)
