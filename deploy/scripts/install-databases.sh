#!/usr/bin/env bash
# Installs the PostgreSQL and MariaDB servers that the tests start, when they are missing. Starts nothing.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
[ -x /usr/sbin/mariadbd ] || [ -x /usr/bin/mariadbd ] || missing+=(mariadb-server)
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
