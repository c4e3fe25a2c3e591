#!/bin/sh
# Notify script of keepalived: the master is linked to the services. No other state changes anything, since the next
# master's link is what moves them.
#
#   vrrp_instance base {
#       ...
#       notify "/etc/keepalived/relocd-notify web mail"
#   }
#
# keepalived adds INSTANCE|GROUP, its name, the state and the priority. As notify_master it gets services alone.
# Settings: /etc/relocd/trigger.conf

# shellcheck source-path=SCRIPTDIR source=trigger.sh
. "$(dirname "$0")/trigger.sh"

relocd_settings
services=
while [ $# -gt 0 ]; do
    case $#:$1 in
        4:INSTANCE | 4:GROUP)
            [ "$3" = MASTER ] || exit 0
            break
            ;;
    esac
    services="$services $1"
    shift
done
case $services in
    *[!\ ]*) ;;
    *) relocd_say "the notify script of keepalived needs the names of services" && exit 2 ;;
esac

failed=0
for service in $services; do
    relocd_order link "$service" "$RELOCD_SERVER" || failed=1
done
exit $failed
