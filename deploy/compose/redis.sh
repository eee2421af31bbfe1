#!/bin/sh
# Redis as qrgate needs it: one user with a password and access to qrgate's keys only, without admin commands; no eviction,
# because two replicas would poll if a lease disappeared early; writes on disk within a second, for the intents of probes.
#
#   REDISCLI_AUTH   the password; redis-cli reads the same variable
#   REDIS_DIR       data directory (/data)
#   REDIS_PORT      listen port (6379)
#   REDIS_MEMORY    memory limit (256mb)
set -eu

case ${REDISCLI_AUTH:-} in
'' | *[!A-Za-z0-9_-]*)
  echo 'REDIS_PASSWORD must consist of letters, digits, _ and -, because it is part of a URL. Generate one with: openssl rand -hex 32' >&2
  exit 2
  ;;
esac

# The configuration comes on standard input, so that the password appears in no file and no process list.
# Protected mode checks the default user, which is off.
exec redis-server - <<CONFIG
port ${REDIS_PORT:-6379}
protected-mode no
dir ${REDIS_DIR:-/data}
maxmemory ${REDIS_MEMORY:-256mb}
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
save ""
user default off
user qrgate on >$REDISCLI_AUTH ~qg:* &qg:* +@read +@write +@scripting +@pubsub +ping -@dangerous -@admin
CONFIG
