#!/usr/bin/env bash
# Installs one Debian or Ubuntu package that a build or `make run` needs: install.sh PACKAGE PROGRAM
# Without root, and without sudo that asks no password, it says the command instead.
set -euo pipefail

package=$1 program=$2
say() { echo "holdfast: $*" >&2; }

if ! command -v apt-get >/dev/null; then
    say "$program is missing and this system has no apt-get: install it with the system's own package manager"
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
elif command -v sudo >/dev/null && [ -t 0 ]; then
    say "$program is missing: installing $package with sudo"
    as_root=(sudo)
else
    say "$program is missing: run as root  apt-get install $package"
    exit 1
fi

say "installing $package"
install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package" >&2; }
# The lists of a fresh machine are empty or old: one update, then once more.
install || { "${as_root[@]}" apt-get update -q >&2 && install; } || { say "could not install $package: see above"; exit 1; }
# Debian starts the packaged server at once; holdfast runs its own and must not find the port of that one taken.
command -v "$program" >/dev/null || { say "$package is installed, but $program is still missing"; exit 1; }
