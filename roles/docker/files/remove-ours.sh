# shellcheck shell=sh
# Removes Dagfleet's and its runs' containers, the images that these were made of unless another container needs
# them, and the networks. Arguments are more images. Prints what it removes.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

found=$({
    docker ps --all --quiet --filter name=^/dagfleet-
    docker ps --all --quiet --filter label=dagster/managed
} | sort -u)
images=
if [ -n "$found" ]; then
    # shellcheck disable=SC2086 # one a word
    images=$(docker inspect --format '{{.Config.Image}}' $found | sort -u)
    # shellcheck disable=SC2086
    docker rm --force --volumes $found >/dev/null
    # shellcheck disable=SC2086
    printf 'removed container %s\n' $found
fi
for image in $images "$@"; do
    if docker rmi "$image" >/dev/null 2>&1; then
        echo "removed image $image"
    fi
done
for network in dagfleet dagfleet-control; do
    if docker network inspect "$network" >/dev/null 2>&1; then
        docker network rm "$network" >/dev/null
        echo "removed network $network"
    fi
done
