# shellcheck shell=bash
# Talking to whoever started a script: stages with their times, one bar, failures with a remedy.
# Sourced, never run.

# fail MESSAGE [REMEDY]: one line, then the end.
fail() {
    echo "${0##*/}: $1${2:+ -> $2}" >&2
    exit 1
}

# stage TITLE COMMAND...: runs the command under a title and tells how long it took.
# The command stands alone in its line: after && or || bash would ignore its failures.
stage() {
    local title=$1 started=${EPOCHREALTIME/./}
    shift
    echo "==> $title"
    "$@"
    local tenths=$(((${EPOCHREALTIME/./} - started) / 100000))
    printf '    done in %d.%d s\n' $((tenths / 10)) $((tenths % 10))
}

# bar: draws lines of "PERCENT<tab>LABEL" from stdin. A terminal gets a bar in place; a log gets
# a line every ten seconds, so that short work leaves no trace there and long work does.
bar() {
    local percent label filled due=$((SECONDS + 10)) drawn=
    while IFS=$'\t' read -r percent label; do
        percent=${percent%%.*}
        if [ -t 1 ]; then
            printf -v filled '%*s' $((percent * 3 / 10)) ''
            printf '\r\e[K    [%-30s] %3d %% %.40s' "${filled// /#}" "$percent" "$label"
            drawn=yes
        elif [ "$SECONDS" -ge "$due" ]; then
            printf '    %3d %% %s\n' "$percent" "$label"
            due=$((SECONDS + 10))
        fi
    done
    [ -z "$drawn" ] || printf '\r\e[K'
}
