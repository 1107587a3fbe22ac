#!/usr/bin/env bash
# A highly available PostgreSQL on this machine: installed, started, shown.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stack=examples/quickstart.yaml
scripts/setup.sh run
bin=$(scripts/setup.sh path)/bin

"$bin/pgstead" up "$stack" --yes
echo
"$bin/pgstead" status "$stack"
echo
echo "Connect with:"
echo "  psql '$("$bin/pgstead" dsn "$stack")'"
cat <<EOF

Next:
  $bin/pgstead psql $stack -- -c 'select version()'
  $bin/pgstead switchover $stack
  $bin/pgstead logs $stack postgres-1
  $bin/pgstead expand $stack
  $bin/pgstead destroy $stack --delete-data
EOF
