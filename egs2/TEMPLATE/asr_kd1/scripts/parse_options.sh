# shellcheck shell=bash
# Source it below a block of "name=value  # meaning" lines between "# begin of options"
# and "# end of options": sets them from --name value, and prints them for --help.

if [[ " $* " == *" --help "* ]] || [ "${1:-}" = -h ]; then
    echo "Usage: ${0##*/} [--option value ...]"
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"
    echo "Options (default):"
    sed -n '/^# begin of options/,/^# end of options/p' "$0" \
        | sed -nE 's/^([a-z_]+)=("[^"]*"|[^ #]*) *#? ?(.*)$/  --\1 (\2) \3/p'
    exit 0
fi
parse_options_known=$(sed -n '/^# begin of options/,/^# end of options/s/^\([a-z_]*\)=.*/\1/p' "$0")
while [ $# -gt 0 ]; do
    if [[ "$1" != --* ]]; then
        echo "$0: positional argument '$1' is not understood; see --help" >&2
        exit 2
    elif ! grep -qx -- "${1#--}" <<<"${parse_options_known}"; then
        echo "$0: unknown option $1; see --help" >&2
        exit 2
    elif [ $# -lt 2 ]; then
        echo "$0: $1 needs a value" >&2
        exit 2
    fi
    printf -v "${1#--}" '%s' "$2"
    shift 2
done
