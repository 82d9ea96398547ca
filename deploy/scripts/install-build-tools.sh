#!/usr/bin/env bash
# Installs a C compiler when there is none: the linker of Rust programs, and for the bundled SQLite and zstd.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

command -v cc >/dev/null || install_packages gcc libc6-dev
