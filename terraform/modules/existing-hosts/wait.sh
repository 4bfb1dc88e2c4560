#!/bin/sh
# Wait until `dagfleet check` gets into every host (exit code 5: not yet). What it finds there is the apply's concern.
deadline=$(($(date +%s) + WAIT_SECONDS))
accept=
[ "$ACCEPT_NEW_HOST_KEYS" = false ] || accept=--accept-new-host-keys
while :; do
    said=$("$DAGFLEET_COMMAND" check $accept 2>&1)
    code=$?
    case $code in
    0 | 1) exit 0 ;;
    5) ;;
    *) break ;;
    esac
    [ "$(date +%s)" -lt "$deadline" ] || break
    sleep 2
done
printf '%s\n' "$said" >&2
[ "$code" != 5 ] || echo "Not every host let dagfleet in within $WAIT_SECONDS s. Raise wait_seconds, or see above." >&2
exit "$code"
