# shellcheck shell=bash
# The virtual environment. Sourced after terminal.sh and debian.sh.

# python_find: prints a Python that is new enough; Debian 12's own is.
python_find() {
    local candidate
    for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# python_lacks: the packages without which no environment can be made and nothing be compiled.
# Asked of the interpreter itself: Debian's needs them, one built by hand brings both along.
python_lacks() {
    local python
    python=$(python_find) || { printf '%s\n' python3 python3-dev python3-venv && return; }
    "$python" - <<'END'
import importlib.util, pathlib, sysconfig
if importlib.util.find_spec("ensurepip") is None:
    print("python3-venv")
if not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists():
    print("python3-dev")
END
}

# venv_ensure DIRECTORY SOURCE EXTRAS: SOURCE, editable, with its pinned dependencies.
# What is there is believed as long as the pins and the declared dependencies are the same.
venv_ensure() {
    mkdir -p "$1" 2>/dev/null || true
    [ -d "$1" ] || fail "$1 cannot be made" "set NOVA_LITE_VENV to a directory of your own"
    # Two who want the same environment make it in turn.
    {
        flock 9
        venv_make "$@"
    } 9<"$1"
}

venv_make() {
    local venv=$1 source=$2 extras=$3 python stamp log packages=()
    stamp=$(cd "$source" && sha256sum pyproject.toml constraints.txt && echo "$source")
    if venv_has "$venv" "$extras" "$stamp"; then return; fi
    [ -w "$venv" ] || fail "$venv cannot be written to" "set NOVA_LITE_VENV to one of your own"
    mapfile -t packages < <(python_lacks)
    case $extras in
    *libvirt* | *test*) packages+=(python) ;;
    esac
    packages_ensure "${packages[@]}"
    python=$(python_find) || fail "Python 3.11 is needed" "use Debian 12, or set PYTHON"
    space_ensure "$venv" 800
    log=$venv/install.log
    # One that was left half made has a pip that does not run.
    "$venv/bin/pip" --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --progress-bar off --editable "${source}[$extras]" \
        --constraint "$source/constraints.txt" 2>&1 </dev/null |
        tee "$log" | pip_percent "$source/constraints.txt" | bar ||
        fail "pip install failed: $(grep -m 1 -o 'ERROR: .*' "$log")" "is there a network? see $log"
    # oslo.service asks for it, nothing uses it, and what finds it installed patches threads.
    "$venv/bin/pip" uninstall --yes --quiet eventlet 2>>"$log"
    echo "$stamp" >"$venv/installed-$extras"
}

# venv_has DIRECTORY EXTRAS STAMP: whether an installation brought these extras, or more.
venv_has() {
    local file extra
    for file in "$1"/installed-*; do
        [ "$(cat "$file" 2>/dev/null)" = "$3" ] || continue
        for extra in ${2//,/ }; do
            [[ ,${file##*/installed-}, == *,$extra,* ]] || continue 2
        done
        return 0
    done
    return 1
}

# pip names each package once before it installs all of them.
pip_percent() {
    local total seen=0 verb rest
    total=$(wc -l <"$1")
    while read -r verb rest; do
        case $verb in
        Collecting | Requirement)
            seen=$((seen < total ? seen + 1 : total))
            rest=${rest#already satisfied: }
            ;;
        Installing) rest="installing" ;;
        *) continue ;;
        esac
        printf '%d\t%s\n' $((seen * 95 / total)) "${rest%%[^A-Za-z0-9._-]*}"
    done
}
