# shellcheck shell=sh
# What relocd's triggers share; `relocd install` puts it into each of them. POSIX shell, sourced.
#
# Settings come from /etc/relocd/trigger.conf, whose variables `relocd link` reads from its environment. Orders are
# given by `relocd`, or where that is not installed by the plain OpenLDAP clients. Each ask for a state, so doing one
# twice does no harm, and each ends within RELOCD_TIMEOUT seconds.

relocd_settings() { # [FILE]: read the settings; from here on nothing is a pattern of file names
    set -f
    PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/opt/relocd/bin
    set -a
    # shellcheck source=/dev/null
    [ ! -r "${1:-/etc/relocd/trigger.conf}" ] || . "${1:-/etc/relocd/trigger.conf}"
    RELOCD_SERVER=${RELOCD_SERVER:-$(uname -n)}
    RELOCD_TIMEOUT=${RELOCD_TIMEOUT:-20}
    RELOCD_PATIENCE=${RELOCD_PATIENCE:-5}
    RELOCD_STATUS=${RELOCD_STATUS:-/run/relocd/status.json}
    set +a
}

relocd_say() { # MESSAGE
    relocd_line=$(printf '%s' "$*" | LC_ALL=C tr '\001-\011\013-\037\177' '?') # what drives a terminal is shown as ?
    printf 'relocd: %s\n' "$relocd_line" >&2
    logger -t relocd-trigger -- "$relocd_line" 2>/dev/null || :
}

relocd_order() { # link|unlink|fence ARGUMENT...: 0 it is so, 3 no directory answered in time, else it was refused
    relocd_verb=$1
    shift
    relocd_end=$(($(relocd_now) + RELOCD_TIMEOUT))
    relocd_before=
    while :; do
        relocd_left=$((relocd_end - $(relocd_now)))
        [ "$relocd_left" -gt 0 ] || return 3
        if command -v relocd >/dev/null; then
            relocd_said=$(timeout -k 1 "$relocd_left" relocd "$relocd_verb" -- "$@" 2>&1)
        else
            relocd_said=$(relocd_plain "$relocd_verb" "$@" 2>&1)
        fi
        relocd_code=$?
        [ "$relocd_said" = "$relocd_before" ] || relocd_say "$relocd_verb $* ($relocd_code): $relocd_said"
        relocd_before=$relocd_said
        case $relocd_code in 3 | 124 | 137) sleep 1 ;; *) return $relocd_code ;; esac
    done
}

relocd_linked() { # SERVICE: 0 this server is linked to it, 1 it is not, else unknown
    if command -v relocd >/dev/null; then
        relocd_said=$(timeout -k 1 "$RELOCD_TIMEOUT" relocd link --dry-run -- "$1" "$RELOCD_SERVER" 2>&1) || return 3
        case $relocd_said in *changetype*) return 1 ;; *) return 0 ;; esac
    fi
    for relocd_at in $RELOCD_URI; do
        relocd_service=$(relocd_dn relocService "$1") || continue
        relocd_me=$(relocd_dn relocServer "$RELOCD_SERVER") || continue
        relocd_client ldapcompare "$relocd_me" "relocServiceLink::$(relocd_base64 "$relocd_service")" >/dev/null
        case $? in 6) return 0 ;; 5 | 16) return 1 ;; esac
    done
    return 3
}

relocd_agent_state() { # SERVICE: what the agent of this server last said of it (active, standby, failed, ...), or none
    python3 -c '
import json, re, sys
name = sys.argv[2].encode()
if b"=" in name:  # a DN: the value of its first RDN without escapes (RFC 4514)
    value = re.match(rb"[^=]*= *((?:[^\\,+;]|\\.)*)", name)[1].rstrip(b" ")
    name = re.sub(rb"\\([0-9A-Fa-f]{2})|\\(.)", lambda found: found[2] or bytes.fromhex(found[1].decode()), value)
with open(sys.argv[1], encoding="utf-8") as status:
    services = json.load(status)["services"]
print(next((each["state"] for each in services if each["name"].lower() == name.decode().lower()), "none"))
' "$RELOCD_STATUS" "$1" 2>/dev/null || echo none
}

relocd_now() { # seconds since the machine came up, which nobody sets back
    cut -d. -f1 /proc/uptime
}

# Without relocd: plain OpenLDAP clients, one directory after the other.

relocd_plain() { # link SERVICE SERVER | unlink SERVICE SERVER | fence SERVER
    for relocd_at in $RELOCD_URI; do
        relocd_plainly "$@"
        relocd_code=$?
        case $relocd_code in
            0) return 0 ;;
            2) return 2 ;;
            10 | 51 | 52 | 53 | 85 | 124 | 255) ;; # a replica, or silent: the next one
            *) return 1 ;;
        esac
    done
    return 3
}

relocd_plainly() { # at the directory $relocd_at; 20 and 16 mean that it is so already
    case $1 in
        link) relocd_change_link "$2" "$3" add 20 ;;
        unlink) relocd_change_link "$2" "$3" delete 16 ;;
        fence) relocd_change "$2" replace relocFenced TRUE ;;
        *) printf '%s needs the command relocd, which is not installed\n' "$1" && return 2 ;;
    esac
}

relocd_change_link() { # SERVICE SERVER add|delete CODE
    relocd_service=$(relocd_dn relocService "$1") || return
    relocd_change "$2" "$3" relocServiceLink "$relocd_service"
    relocd_code=$?
    [ "$relocd_code" = "$4" ] || return "$relocd_code"
}

relocd_change() { # SERVER add|delete|replace ATTRIBUTE VALUE
    relocd_me=$(relocd_dn relocServer "$1") || return
    relocd_client ldapmodify -f /dev/fd/3 3<<LDIF
dn:: $(relocd_base64 "$relocd_me")
changetype: modify
$2: $3
$3:: $(relocd_base64 "$4")
LDIF
}

relocd_base64() { # TEXT: as LDIF takes any text
    printf '%s' "$1" | base64 | tr -d '\n'
}

relocd_dn() { # CLASS NAME: the DN of the one entry of that class and name; a DN stays what it is
    case $2 in
        *[[:cntrl:]]*) printf 'a name with a line break or another control character is none\n' >&2 && return 2 ;;
        *=*) printf '%s\n' "$2" && return ;;
        "" | *[!A-Za-z0-9._-]*) printf "'%s' can only be looked up by the command relocd; give its DN\n" "$2" >&2 && return 2 ;;
    esac
    relocd_found=$(relocd_client ldapsearch -LLL -o ldif-wrap=no -b "$RELOCD_BASE" "(&(objectClass=$1)(cn=$2))" 1.1) || return
    case $(printf '%s\n' "$relocd_found" | grep -c '^dn:') in
        1)
            case $relocd_found in
                "dn:: "*) printf '%s\n' "$relocd_found" | sed -n 's/^dn:: //p' | base64 -d && echo ;;
                *) printf '%s\n' "$relocd_found" | sed -n 's/^dn: //p' ;;
            esac
            ;;
        *) printf "there is not exactly one %s '%s'; give its DN\n" "$1" "$2" >&2 && return 2 ;;
    esac
}

relocd_client() { # PROGRAM ARGUMENT...: with the settings; the password is the first line of its file, as for relocd
    relocd_program=$1
    shift
    if [ -n "${RELOCD_EXTERNAL:-}" ]; then
        set -- -Q -Y EXTERNAL "$@"
    elif [ -n "${RELOCD_BIND_DN:-}" ]; then
        set -- -x -D "$RELOCD_BIND_DN" -y /dev/stdin "$@"
    else
        set -- -x "$@"
    fi
    [ -z "${RELOCD_STARTTLS:-}" ] || set -- -ZZ "$@"
    [ -z "${RELOCD_CA_FILE:-}" ] || export LDAPTLS_CACERT="$RELOCD_CA_FILE"
    { [ -z "${RELOCD_PASSWORD_FILE:-}" ] || head -n 1 "$RELOCD_PASSWORD_FILE" | tr -d '\n'; } |
        timeout -k 1 "$RELOCD_PATIENCE" "$relocd_program" -o nettimeout="$RELOCD_PATIENCE" -H "$relocd_at" "$@"
}
