#!/bin/sh
# As in the official images: words that begin with a dash are HAProxy's, and HAProxy runs as
# a master with workers, in the foreground.
set -eu
case "${1:-}" in
-*) set -- haproxy "$@" ;;
esac
if [ "$1" = haproxy ]; then
  shift
  set -- haproxy -W -db "$@"
fi
exec "$@"
