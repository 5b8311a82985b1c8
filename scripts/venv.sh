# shellcheck shell=bash
# Sourced by the scripts beside it: makes the virtual environment that they run in, or finds it made.
#
#   make_venv FOLDER EXTRAS [X.Y]     sets $venv and $python
#
# Needs a Python of version 3.11 or newer with pip. An environment that is there already is used as it is, unless
# pyproject.toml or its Python has changed since.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONHOME PYTHONPATH

die() {
    printf '%s: %s\n' "scripts/$(basename "$0")" "$*" >&2
    exit 2
}

# Prints the path of an interpreter of version $1, or of any that is new enough.
find_python() {
    local wanted="${1:-}" candidate
    local check="import sys; v = sys.version_info[:2]; sys.exit(not (v >= (3, 11) and '${wanted}' in ('', '%d.%d' % v)))"
    for candidate in ${wanted:+"python$wanted"} python3 python3.11 python3.12 python3.13 python3.14 \
        "$HOME"/.pyenv/versions/"${wanted:-3}"*/bin/python; do
        # a shim of a version manager may be on the path and find nothing behind it
        if command -v "$candidate" >/dev/null && "$candidate" -c "$check" 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

make_venv() {
    local extras="$2" wanted="${3:-}" base stamp
    venv="$root/$1"
    python="$venv/bin/python"
    base="$(find_python "$wanted")" ||
        die "no Python ${wanted:-3.11 or newer} found. Install it, or put it on the PATH as python${wanted:-3}."
    stamp="$extras $("$base" -c 'import sys; print(sys.version)') $(cksum <"$root/pyproject.toml") $root"
    if [[ -x $python && -f $venv/.stamp && $(<"$venv/.stamp") == "$stamp" ]]; then
        return
    fi
    printf 'Making %s with %s\n' "$1" "$base" >&2
    rm -rf "$venv"
    if "$base" -c 'import ensurepip' 2>/dev/null; then
        "$base" -m venv "$venv"
        "$python" -m pip install --quiet --editable "$root[$extras]"
    elif "$base" -c 'import pip' 2>/dev/null; then # Debian's python3-pip without its python3-venv
        "$base" -m venv --without-pip "$venv"
        "$base" -m pip --python "$python" install --quiet --editable "$root[$extras]"
    else
        die "$base has neither ensurepip nor pip. On Debian and Ubuntu: apt-get install python3-venv"
    fi
    printf '%s' "$stamp" >"$venv/.stamp"
}
