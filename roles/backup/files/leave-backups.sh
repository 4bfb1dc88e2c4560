# shellcheck shell=sh
# Leaves the backups in a directory to root, and removes the directory when it has none. Prints what it did.
set -eu
directory=$1
rm -f "$directory/.lock"
if rmdir "$directory" 2>/dev/null; then
    echo "removed $directory"
    exit 0
fi
[ "$(stat -c %U "$directory")" != root ] || exit 0
# The directory first: from then on nobody else can put anything in its files' places.
chown root:root "$directory"
find "$directory" -maxdepth 1 -type f -links 1 -name '*-*Z.tar*' -exec chown root:root {} +
echo "left the backups in $directory to root"
