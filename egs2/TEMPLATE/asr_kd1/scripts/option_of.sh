# shellcheck shell=bash
# Source it: option_of <name> <default> "$@" prints what the options in "$@" say of --name; of several the last counts.
option_of() {
    local name=--$1 value=$2
    shift 2
    while [ $# -gt 1 ]; do
        [ "$1" != "${name}" ] || value=$2
        shift 2
    done
    echo "${value}"
}
