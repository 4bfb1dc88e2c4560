# shellcheck shell=sh
# Prints what is true on this host, in sections, for dagfleet.probe.parse. It only reads, needs a POSIX shell and nothing
# else, and runs as root (or as the login user when sudo asks for a password, then much is missing).
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
section() { printf '\n@@%s\n' "$1"; }

section release
cat /etc/os-release
section identity
printf 'hostname %s\n' "$(cat /proc/sys/kernel/hostname)"
printf 'machine_id %s\n' "$(cat /etc/machine-id)"
printf 'architecture %s\n' "$(uname -m)"
printf 'cores %s\n' "$(grep -c '^processor' /proc/cpuinfo)"
printf 'cgroup %s\n' "$(stat -f -c %T /sys/fs/cgroup)"
printf 'init %s\n' "$(cat /proc/1/comm)"
section memory
cat /proc/meminfo
section addresses
if command -v ip >/dev/null; then ip -o addr show; fi
section commands
for name in python3 sudo docker openssl systemctl apt-get; do
    if command -v "$name" >/dev/null; then echo "$name"; fi
done
section python
if [ -x /usr/bin/python3 ]; then /usr/bin/python3 --version; fi
section listening
if command -v ss >/dev/null; then
    ss -Hltnp
    for pid in $(ss -Hltnp | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
        printf '@unit %s %s\n' "$pid" "$(sed -n 's/^\(0::\|1:name=systemd:\)//p' "/proc/$pid/cgroup" | tail -n 1)"
    done
fi
section packages
if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' docker.io docker-ce docker-engine podman-docker \
        containerd containerd.io haproxy pgbouncer postgresql
fi
section daemon_json
cat /etc/docker/daemon.json
root=/var/lib/docker
section docker
if command -v docker >/dev/null && [ -S /run/docker.sock ]; then
    docker info --format '{{json .}}'
    root=$(docker info --format '{{.DockerRootDir}}')
    section containers
    docker ps --format '{{.Names}}\t{{.Ports}}'
fi
section disk
while [ ! -d "$root" ]; do root=$(dirname "$root"); done
df -Pk "$root" | tail -n 1
df -Pi "$root" | tail -n 1
section record
cat /etc/dagfleet/facts.json
section standby
cat /var/lib/dagfleet/standby.json
section certificate_days
cat /var/lib/dagfleet/certificate-days
section units
if command -v systemctl >/dev/null; then
    systemctl list-units --all --plain --no-legend --no-pager 'dagfleet*' docker.service haproxy.service \
        pgbouncer.service 'postgresql*.service'
fi
section certificates
for file in /etc/dagfleet/pki/*.crt /etc/dagfleet/pki/*.pem; do
    if [ -f "$file" ]; then
        printf '@file %s %s\n' "${file##*/}" "$([ -s "$file.key" ] && echo key)"
        cat "$file"
    fi
done
section launcher_key
if [ -s /etc/dagfleet/docker-ssh/id_ed25519 ]; then cat /etc/dagfleet/docker-ssh/id_ed25519.pub; fi
section seal
cat /etc/dagfleet/seal
