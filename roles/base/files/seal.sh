# shellcheck shell=sh
# Prints one hash over all that Dagfleet looks after on this host: files with their modes and owners, packages, accounts,
# units, containers, networks, firewall, databases. It only reads. The same hash as after an apply means that nobody has
# changed anything since, and that the roles would find nothing to do.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# psql complains of a working directory that postgres may not enter, which depends on who runs this and how.
cd /

files() {
    for path in /etc/dagfleet /etc/docker /etc/haproxy /etc/hosts /etc/pgbouncer /etc/postgresql /etc/systemd/system \
        /usr/local/lib/dagfleet /opt/dagfleet/locations/*/*/complete /var/lib/dagfleet/mesh.* \
        /var/lib/dagfleet/docker.started /var/lib/dagfleet/dagster_home/*.yaml; do
        # What an apply notes about itself says nothing about the host.
        if [ -e "$path" ]; then
            find "$path" ! -path /etc/dagfleet/facts.json ! -path /etc/dagfleet/seal -exec stat -c '%a %U %G %F %N' {} + |
                sort
            find "$path" -type f ! -path /etc/dagfleet/facts.json ! -path /etc/dagfleet/seal -exec sha256sum {} + | sort
        fi
    done
}

accounts() {
    getent passwd dagfleet dagfleet-docker docker-registry haproxy postgres
    getent group dagfleet docker haproxy postgres
    id haproxy
}

units() {
    systemctl list-unit-files --no-legend --state=enabled 'dagfleet*' docker.service haproxy.service pgbouncer.service \
        'postgresql*' | cut -d ' ' -f 1 | while read -r unit; do
        # An instance of a template is not listed; the template itself runs nothing.
        case $unit in *@.service) continue ;; esac
        echo "$unit $(systemctl is-active "$unit")"
    done
    systemctl is-active 'postgresql@*' docker.service haproxy.service pgbouncer.service 'dagfleet-location-*'
}

containers() {
    docker ps --all --no-trunc --filter name=^/dagfleet- --format '{{.Names}} {{.ID}} {{.Image}} {{.State}}' | sort
    docker ps --all --filter name=^/dagfleet- --format '{{.Image}}' | sort -u | while read -r image; do
        docker image inspect --format '{{.Id}}' "$image"
    done
    docker network ls --no-trunc --filter name=dagfleet --format '{{.Name}} {{.ID}}' | sort
}

databases() {
    for cluster in /etc/postgresql/*/dagfleet; do
        if [ -d "$cluster" ]; then
            runuser -u postgres -- psql --no-psqlrc -Atp 6431 -c 'select datname from pg_database order by 1' \
                -c 'select rolname, rolpassword from pg_authid order by 1' postgres
        fi
    done
}

{
    files
    dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' age docker.io docker-ce docker-registry haproxy nftables pgbouncer postgresql
    accounts
    units
    nft --stateless list table inet dagfleet
    if command -v docker >/dev/null; then containers; fi
    databases
} 2>&1 | sha256sum | cut -d ' ' -f 1
