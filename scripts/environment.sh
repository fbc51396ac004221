# Sourced by check and test: goes to the root of the checkout and enters a virtual environment that holds the project
# with what its tests need; .venv in the checkout, unless one is active already.
# shellcheck shell=bash
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# pip_install PYTHON ARGUMENT…: install with pip, and once more when that fails: networks do.
pip_install() {
    local python=$1
    shift
    "$python" -m pip install --quiet "$@" && return
    echo "pip failed; once more in 10 s" >&2
    sleep 10
    "$python" -m pip install --quiet "$@"
}

if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -x .venv/bin/pip ] || python3 -m venv .venv
    # shellcheck source=/dev/null
    . .venv/bin/activate
fi

# Asking pip takes seconds, so it is asked when the checkout or its requirements are others than last time.
wanted="$PWD $(cksum <pyproject.toml)"
installed="$VIRTUAL_ENV/.registrytool-installed"
if [ "$(cat "$installed" 2>/dev/null)" != "$wanted" ]; then
    pip_install python --upgrade --editable ".[test]"
    echo "$wanted" >"$installed"
fi
