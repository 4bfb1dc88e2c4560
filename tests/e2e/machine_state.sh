# shellcheck shell=sh
# Prints what a machine has that somebody could call theirs, a line each: units, listeners, accounts, packages, tables, files.
export LC_ALL=C
systemctl list-unit-files --no-legend | awk '{print "unit", $1, $2}'
systemctl list-units --state=failed --plain --no-legend | awk '{print "failed", $1}'
# The name service that Docker gives the practice machine itself has another port after each of its boots.
ss -Hltun | awk '$5 !~ /^127\.0\.0\.11:/ {print "listener", $1, $5}'
getent passwd | cut -d: -f1,3 | sed 's/^/user /'
getent group | cut -d: -f1,3,4 | sed 's/^/group /'
# shellcheck disable=SC2016 # dpkg's own format
dpkg-query -W -f 'package ${db:Status-Status} ${Package}\n'
if command -v nft >/dev/null; then nft list tables | grep dagfleet; fi
if command -v docker >/dev/null; then docker ps --all --format 'container {{.Names}}'; fi
# What packages write about themselves, caches and logs are nobody's.
find /etc /usr/local /opt /srv /home /root /run/dagfleet* /var/lib /var/spool -xdev \
    \( -path '/var/lib/apt/*' -o -path '/var/lib/dpkg/*' -o -path '/var/lib/systemd/*' -o -path '/var/lib/ucf/*' -o -path '/etc/ssl/certs/*' \
    -o -name '*-' -o -name '.pwd.lock' -o -name 'ld.so.cache' \) -prune -o -print 2>/dev/null |
    sed 's/^/file /'
sha256sum /etc/hosts
