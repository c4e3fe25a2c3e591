#!/bin/sh
# OCF resource agent ocf:relocd:service: the node that Pacemaker chooses is linked to the services.
#
# Pacemaker decides where, relocd's agents move. So a stop changes nothing in the directory: the node goes on serving
# until the next one is ready, as it would not if its link were gone. The resource is this node's claim, which is kept
# in a file of its own; whether the claim is fulfilled is the word of relocd's agent here.

# shellcheck source-path=SCRIPTDIR source=trigger.sh
. "$(dirname "$0")/trigger.sh"

: "${OCF_ROOT:=/usr/lib/ocf}"
: "${OCF_FUNCTIONS_DIR:=${OCF_ROOT}/lib/heartbeat}"
# shellcheck source=/dev/null
. "${OCF_FUNCTIONS_DIR}/ocf-shellfuncs"

service_settings() { # parameters of the resource go before the settings of the machine
    relocd_settings "${OCF_RESKEY_config:-/etc/relocd/trigger.conf}"
    RELOCD_URI=${OCF_RESKEY_uri:-${RELOCD_URI:-}}
    RELOCD_BASE=${OCF_RESKEY_base:-${RELOCD_BASE:-}}
    RELOCD_BIND_DN=${OCF_RESKEY_bind_dn:-${RELOCD_BIND_DN:-}}
    RELOCD_PASSWORD_FILE=${OCF_RESKEY_password_file:-${RELOCD_PASSWORD_FILE:-}}
    RELOCD_SERVER=${OCF_RESKEY_server:-$RELOCD_SERVER}
    export RELOCD_URI RELOCD_BASE RELOCD_BIND_DN RELOCD_PASSWORD_FILE RELOCD_SERVER
    claim=${HA_RSCTMP}/relocd-${OCF_RESOURCE_INSTANCE:-service}
}

service_meta_data() {
    cat <<'XML'
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="service" version="1.0">
<version>1.1</version>
<longdesc lang="en">
Services that relocd moves: the node on which this resource runs is linked to them in the LDAP directory. The agents of
relocd do the rest: addresses, configuration, units, and the handover from the node before. Settings that are no
parameters here are read from /etc/relocd/trigger.conf.
</longdesc>
<shortdesc lang="en">Links this node to services of relocd</shortdesc>
<parameters>
<parameter name="service" unique="0" required="1">
<longdesc lang="en">The services, by the cn of their entries, separated by spaces; or the DN of one.</longdesc>
<shortdesc lang="en">Services</shortdesc>
<content type="string"/>
</parameter>
<parameter name="server" unique="0" required="0">
<longdesc lang="en">This node in the directory, by the cn or the DN of its entry. Without it: the name of the machine.</longdesc>
<shortdesc lang="en">Server entry</shortdesc>
<content type="string"/>
</parameter>
<parameter name="monitor" unique="0" required="0">
<longdesc lang="en">Whose word counts: "agent" for that of relocd's agent on this node, which says that a service is active or has
failed; or "directory" for the link alone, where services are watched by something else.</longdesc>
<shortdesc lang="en">agent or directory</shortdesc>
<content type="string" default="agent"/>
</parameter>
<parameter name="wait" unique="0" required="0">
<longdesc lang="en">How many seconds a start waits for the services to be active here (with monitor=agent). To take over from a
dead node takes at least the lease of relocd, unless that node is fenced.</longdesc>
<shortdesc lang="en">Seconds to wait</shortdesc>
<content type="integer" default="40"/>
</parameter>
<parameter name="stop" unique="0" required="0">
<longdesc lang="en">"keep": a stop leaves the link, and the services run on here until another node takes them over, without a
gap; a resource that is disabled stops nothing. "unlink": a stop removes the link; if no other node is linked, the
services stop, also in the middle of a move.</longdesc>
<shortdesc lang="en">keep or unlink</shortdesc>
<content type="string" default="keep"/>
</parameter>
<parameter name="config" unique="0" required="0">
<longdesc lang="en">The file with the settings of the machine.</longdesc>
<shortdesc lang="en">Settings</shortdesc>
<content type="string" default="/etc/relocd/trigger.conf"/>
</parameter>
<parameter name="uri" unique="0" required="0">
<longdesc lang="en">The directories, separated by spaces, tried in order; instead of RELOCD_URI.</longdesc>
<shortdesc lang="en">Directories</shortdesc>
<content type="string"/>
</parameter>
<parameter name="base" unique="0" required="0">
<longdesc lang="en">Where relocd's entries begin; instead of RELOCD_BASE.</longdesc>
<shortdesc lang="en">Base</shortdesc>
<content type="string"/>
</parameter>
<parameter name="bind_dn" unique="0" required="0">
<longdesc lang="en">Bind as this entry; instead of RELOCD_BIND_DN.</longdesc>
<shortdesc lang="en">Identity</shortdesc>
<content type="string"/>
</parameter>
<parameter name="password_file" unique="0" required="0">
<longdesc lang="en">The file whose first line is its password; instead of RELOCD_PASSWORD_FILE.</longdesc>
<shortdesc lang="en">Password file</shortdesc>
<content type="string"/>
</parameter>
</parameters>
<actions>
<action name="start" timeout="60s"/>
<action name="stop" timeout="30s"/>
<action name="monitor" timeout="30s" interval="10s" depth="0"/>
<action name="meta-data" timeout="5s"/>
<action name="validate-all" timeout="10s"/>
</actions>
</resource-agent>
XML
}

each_service() { # COMMAND ARGUMENT...: run it with each service added; the first failure ends it
    case ${OCF_RESKEY_service:-} in
        *=*) "$@" "$OCF_RESKEY_service" ;;
        *) for service in ${OCF_RESKEY_service:-}; do "$@" "$service" || return; done ;;
    esac
}

service_validate() {
    case ${OCF_RESKEY_service:-} in
        *[!\ ]*) ;;
        *) refuse "$OCF_ERR_CONFIGURED" "the parameter service is empty" || return ;;
    esac
    [ -n "$RELOCD_URI" ] || refuse "$OCF_ERR_CONFIGURED" "no directory: set uri, or RELOCD_URI" || return
    [ -n "$RELOCD_BASE" ] || refuse "$OCF_ERR_CONFIGURED" "no base: set base, or RELOCD_BASE" || return
    case ${OCF_RESKEY_stop:-keep} in
        keep | unlink) ;;
        *) refuse "$OCF_ERR_CONFIGURED" "stop is keep or unlink, not $OCF_RESKEY_stop" || return ;;
    esac
    case ${OCF_RESKEY_monitor:-agent} in
        agent | directory) ;;
        *) refuse "$OCF_ERR_CONFIGURED" "monitor is agent or directory, not $OCF_RESKEY_monitor" || return ;;
    esac
    command -v relocd >/dev/null || command -v ldapmodify >/dev/null ||
        refuse "$OCF_ERR_INSTALLED" "neither relocd nor ldapmodify is installed"
}

refuse() { # CODE REASON
    ocf_exit_reason "$2"
    return "$1"
}

service_start() {
    each_service link_here || return "$OCF_ERR_GENERIC"
    mkdir -p "${claim%/*}" && : >"$claim" || return "$OCF_ERR_GENERIC"
    [ "${OCF_RESKEY_monitor:-agent}" = agent ] || return "$OCF_SUCCESS"
    end=$(($(relocd_now) + ${OCF_RESKEY_wait:-40}))
    until service_monitor; do
        if [ "$(relocd_now)" -ge "$end" ]; then
            ocf_exit_reason "not active here within ${OCF_RESKEY_wait:-40} s; see relocd show"
            return "$OCF_ERR_GENERIC"
        fi
        sleep 0.2
    done
}

link_here() { # SERVICE
    relocd_order link "$1" "$RELOCD_SERVER" || { ocf_exit_reason "cannot link: $relocd_said" && return 1; }
}

service_stop() {
    rm -f "$claim"
    [ "${OCF_RESKEY_stop:-keep}" = unlink ] || return "$OCF_SUCCESS"
    each_service unlink_here || return "$OCF_ERR_GENERIC"
}

unlink_here() { # SERVICE
    relocd_order unlink "$1" "$RELOCD_SERVER" || { ocf_exit_reason "cannot unlink: $relocd_said" && return 1; }
}

service_monitor() {
    [ -e "$claim" ] || return "$OCF_NOT_RUNNING"
    each_service "${OCF_RESKEY_monitor:-agent}_says"
}

agent_says() { # SERVICE
    case $(relocd_agent_state "$1") in
        active) return "$OCF_SUCCESS" ;;
        failed) return "$OCF_ERR_GENERIC" ;;
        *) return "$OCF_NOT_RUNNING" ;;
    esac
}

directory_says() { # SERVICE; nothing acts on doubt: what is not known to be gone stands
    relocd_linked "$1"
    [ $? -ne 1 ] || return "$OCF_NOT_RUNNING"
}

usage="usage: $(basename "$0") start|stop|monitor|validate-all|meta-data"
case ${1:-} in
    meta-data) service_meta_data && exit "$OCF_SUCCESS" ;;
    usage | help) printf '%s\n' "$usage" && exit "$OCF_SUCCESS" ;;
esac
service_settings
case ${1:-} in
    start | monitor | validate-all)
        service_validate || exit
        case $1 in
            start) service_start ;;
            monitor) service_monitor ;;
        esac
        ;;
    stop) service_stop ;;
    *) printf '%s\n' "$usage" >&2 && exit "$OCF_ERR_UNIMPLEMENTED" ;;
esac
