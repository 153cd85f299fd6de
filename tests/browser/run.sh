#!/usr/bin/env bash
# The page in a real Chromium: run.sh PROGRAM WORKDIR [SCREENSHOTS]. Node's packages go to WORKDIR, never into the repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$1 work=$2
command -v node >/dev/null || "$here/../../deploy/install.sh" nodejs node
command -v npm >/dev/null || "$here/../../deploy/install.sh" npm npm
command -v chromium >/dev/null || "$here/../../deploy/install.sh" chromium chromium
mkdir -p "$work"
if ! cmp -s "$here/package-lock.json" "$work/installed"; then
    cp "$here/package.json" "$here/package-lock.json" "$work/"
    (cd "$work" && npm ci --no-audit --no-fund --loglevel=error >&2)
    cp "$here/package-lock.json" "$work/installed"
fi
MODULES="$work" PROGRAM="$program" SCREENSHOTS="${3:-}" exec node "$here/main.mjs"
