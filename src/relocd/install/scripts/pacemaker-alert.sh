#!/bin/sh
# Alert agent of Pacemaker: a node that was fenced successfully is fenced in the directory, and nobody waits for it.
#
#   pcs alert create id=relocd-fenced path=/etc/pacemaker/relocd-alert
#   crm configure alert relocd-fenced /etc/pacemaker/relocd-alert
#
# Only this proves that a node is off: one whose cluster manager was stopped in order still runs its services. Pacemaker
# runs alerts as the user hacluster, who must be able to read the password file. Settings: /etc/relocd/trigger.conf

# shellcheck source-path=SCRIPTDIR source=trigger.sh
. "$(dirname "$0")/trigger.sh"

relocd_settings
case ${CRM_alert_kind:-}:${CRM_alert_rc:-}:${CRM_alert_desc:-} in
    "fencing:0:Operation off "* | "fencing:0:Operation reboot "*) relocd_order fence "${CRM_alert_node:-}" ;;
esac
