#!/usr/bin/env bash
# Writes requirements.lock anew: the newest versions of a day on which the release was new, so
# that nothing is in it that the services were never tried with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

day=2026-05-01
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-/usr/bin/python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet uv
{
    echo "# The versions that the lab runs with. update.sh writes this file anew from requirements.in."
    "$work/venv/bin/uv" pip compile --quiet --universal --no-header --no-annotate --no-cache \
        --python-version 3.11 --exclude-newer "$day" requirements.in |
        grep -v -E "sys_platform == '(win32|darwin)'" | sed "s/ ; sys_platform != 'win32'//"
} >"$work/lock"
cp "$work/lock" requirements.lock
