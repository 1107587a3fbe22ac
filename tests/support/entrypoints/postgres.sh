#!/bin/sh
# As in the official images: a first start makes the data folder, the user and the database
# that the environment names, while its server listens on no address; then, and at every later
# start, the words given are run. It runs as whatever user it is started as, root excepted.
set -eu
case "${1:-}" in
-*) set -- postgres "$@" ;;
esac

first_start() {
  password=${POSTGRES_PASSWORD:-}
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(cat "$POSTGRES_PASSWORD_FILE")
  if [ -z "$password" ]; then
    echo "Error: the superuser's password is not given (POSTGRES_PASSWORD)" >&2
    exit 1
  fi
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  (umask 077 && mkdir -p "$PGDATA" && printf '%s\n' "$password" > "/tmp/password.$$")
  # The variable holds words for the shell.
  eval "initdb --username=\"\$user\" --pwfile=/tmp/password.$$ ${POSTGRES_INITDB_ARGS:-}"
  rm "/tmp/password.$$"
  echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  pg_ctl --wait --options="-c listen_addresses=" start
  if [ "$database" != postgres ]; then
    psql --no-psqlrc --set ON_ERROR_STOP=1 --set name="$database" -U "$user" -d postgres << 'END'
CREATE DATABASE :"name";
END
  fi
  pg_ctl --wait --mode=fast stop
}

if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
  echo "PostgreSQL does not run as root" >&2
  exit 1
fi
if [ "$1" = postgres ] && ! [ -s "$PGDATA/PG_VERSION" ]; then
  first_start
fi
exec "$@"
