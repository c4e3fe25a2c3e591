#!/bin/sh
# Resource script of Heartbeat (haresources): whoever gets the resource is linked to the services.
#
#   node1 relocd::web::mail
#
# start   links this server to the services; the agents hand over.
# stop    changes nothing in the directory: the services run on here until the next server is ready for them.
#         RELOCD_STOP=unlink in trigger.conf removes the links, so that a resource that is stopped everywhere stops.
# status  says "running" where Heartbeat has started it and the links stand.
# Names of services, since Heartbeat splits arguments at spaces. Settings: /etc/relocd/trigger.conf

# shellcheck source-path=SCRIPTDIR source=trigger.sh
. "$(dirname "$0")/trigger.sh"

relocd_settings
usage="usage: $(basename "$0") SERVICE... start|stop|status"
[ $# -ge 2 ] || { printf '%s\n' "$usage" >&2 && exit 2; }
services=
while [ $# -gt 1 ]; do
    services="$services $1"
    shift
done
claim=/run/resource-agents/relocd$(printf '%s\n' "$services" | tr ' /' '-_')

linked() { # nothing acts on doubt: what is not known to be gone stands
    for service in $services; do
        relocd_linked "$service"
        [ $? -ne 1 ] || return 1
    done
}

case $1 in
    start)
        for service in $services; do
            relocd_order link "$service" "$RELOCD_SERVER" || exit 1
        done
        mkdir -p "${claim%/*}" && : >"$claim"
        ;;
    stop)
        rm -f "$claim"
        [ "${RELOCD_STOP:-keep}" = unlink ] || exit 0
        for service in $services; do
            relocd_order unlink "$service" "$RELOCD_SERVER" || exit 1
        done
        ;;
    status)
        if [ -e "$claim" ] && linked; then echo running; else echo stopped && exit 3; fi
        ;;
    *) printf '%s\n' "$usage" >&2 && exit 2 ;;
esac
