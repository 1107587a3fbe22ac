#!/usr/bin/env bash
# Writes requirements.lock anew: the newest versions that pyproject.toml allows, in a fresh venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-/usr/bin/python3}" -m venv "$work/venv"
"$work/venv/bin/python" scripts/requirements.py all >"$work/wanted"
"$work/venv/bin/python" -m pip install --quiet --use-pep517 --requirement "$work/wanted"
{
    echo "# The versions that the tests run with: constraints for pip, not a list of what to install."
    echo "# scripts/lock.sh writes this file anew from pyproject.toml."
    "$work/venv/bin/python" -m pip freeze
} >"$work/lock"
cp "$work/lock" requirements.lock
