# shellcheck shell=sh
# Removes the packages that came with Dagfleet, and nothing that was there before or that something else needs.
# Prints what it removes; "keep" as its argument leaves PostgreSQL's clusters and their settings where they are.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
before=/var/lib/dagfleet/before
[ -s "$before/accounts" ] || exit 0
clusters=${1:-}
# Packages that were removed while their data stayed still have settings.
there='\(installed\|config-files\)'
[ "$clusters" != keep ] || there=installed
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# PostgreSQL brings tzdata, which autoremove spares for its priority.
ours='acl age docker-cli docker-registry docker.io haproxy nftables openssl pgbouncer postgresql python3-cryptography python3-h2 python3-packaging
    python3-psycopg2 python3-requests python3-venv socat tzdata'
# shellcheck disable=SC2086 # one a line
printf '%s\n' $ours | sort >"$work/ours"
# Containers of somebody else's need the engine that we brought.
if command -v docker >/dev/null && [ -n "$(docker ps --all --quiet 2>/dev/null)" ]; then
    echo "docker.io stays: it has containers that are not Dagfleet's"
    sed -i '/^docker[.-]\(io\|cli\)$/d' "$work/ours"
fi

installed() {
    # shellcheck disable=SC2016 # dpkg's own format
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n "s/^$there //p" | sort -u
}

drop() {
    comm -23 "$1" "$before/packages" >"$work/new"
    installed | comm -12 "$work/new" - >"$work/drop"
    spare
    [ -s "$work/drop" ] || return 0
    sed 's/^/removed /' "$work/drop"
    if [ "$clusters" = keep ]; then
        grep -E '^postgresql' "$work/drop" >"$work/kept" || true
        grep -vE '^postgresql' "$work/drop" >"$work/purged" || true
    else
        : >"$work/kept"
        cp "$work/drop" "$work/purged"
    fi
    [ ! -s "$work/kept" ] || xargs apt-get --quiet --assume-yes remove <"$work/kept" >"$work/log" 2>&1 || failed
    [ ! -s "$work/purged" ] || xargs apt-get --quiet --assume-yes purge <"$work/purged" >"$work/log" 2>&1 || failed
}

# What somebody has installed since may need one of ours: prints what would fall with the packages named in a file.
falling() {
    xargs apt-get --simulate remove <"$1" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | sort -u >"$work/falling"
    comm -23 "$work/falling" "$work/drop" | comm -12 - "$work/theirs"
}

spare() {
    [ -s "$work/drop" ] || return 0
    cp "$work/drop" "$work/round"
    # All at once first: it is seldom that anything falls.
    [ -n "$(falling "$work/round")" ] || return 0
    while read -r package; do
        echo "$package" >"$work/one"
        needing=$(falling "$work/one" | head -n 1)
        if [ -n "$needing" ]; then
            echo "$package stays: $needing needs it"
            sed -i "/^$package\$/d" "$work/drop"
        fi
    done <"$work/round"
}

failed() {
    tail -n 20 "$work/log" >&2
    exit 1
}

# Chosen by a person or there before, and not ours: never to be lost by the way.
apt-mark showmanual | sort -u - "$before/packages" | comm -23 - "$work/ours" >"$work/theirs"
drop "$work/ours"
# What those brought along, now that nothing needs it any more.
# A mere suggestion (libc6's of locales) keeps nothing here.
apt-get -o APT::AutoRemove::SuggestsImportant=false --simulate autoremove | sed -n 's/^Remv \([^ ]*\).*/\1/p' | sort -u >"$work/alone"
drop "$work/alone"

if ! command -v dockerd >/dev/null && grep -qx docker.io "$work/ours" && ! grep -qx docker.io "$before/packages"; then
    # They may be mounts of their own.
    for directory in /var/lib/docker /var/lib/containerd; do
        [ ! -d "$directory" ] || find "$directory" -mindepth 1 -delete
    done
    # Settings that its owner had before Docker came are still there, and theirs.
    rm -f /etc/docker/key.json
    [ ! -d /etc/docker ] || rmdir --ignore-fail-on-non-empty /etc/docker
    ip link delete docker0 2>/dev/null || true
fi
gone() { grep -qx "$1" "$work/ours" && ! grep -qx "$1" "$before/packages" && ! installed | grep -qx "$1"; }
if gone haproxy; then rm -rf /etc/haproxy /var/lib/haproxy; fi
if gone docker.io; then rm -rf /etc/cni /etc/containerd /opt/containerd; fi
# Data that stays belongs to postgres.
if gone postgresql && [ "$clusters" != keep ]; then
    # Whoever worked there as postgres left a directory for temporary files.
    [ ! -d /var/lib/postgresql ] || find /var/lib/postgresql -depth -type d -empty -delete
    if ! grep -qx postgres "$before/accounts" && getent passwd postgres >/dev/null; then userdel postgres; fi
    for group in postgres ssl-cert; do
        if ! grep -qx "$group" "$before/accounts" && getent group "$group" >/dev/null; then groupdel "$group"; fi
    done
fi
# The shell remembers where it found a command that is gone now.
hash -r
for account in haproxy docker docker-registry; do
    grep -qx "$account" "$before/accounts" || command -v "$account" >/dev/null || {
        ! getent passwd "$account" >/dev/null || userdel "$account"
        ! getent group "$account" >/dev/null || groupdel "$account"
    }
done
