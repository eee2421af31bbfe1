#!/bin/sh
# Redis as qrgate needs it: one user with a password and access to qrgate's keys only, without admin commands; no eviction,
# because two replicas would poll if a lease disappeared early; writes on disk within a second, for the intents of probes.
#
#   REDIS_PASSWORD_FILE  file with the password (/run/secrets/redis_password)
#   REDIS_DIR            data directory (/data)
#   REDIS_PORT           listen port (6379)
#   REDIS_MEMORY         memory limit (256mb)
set -eu

password=$(cat "${REDIS_PASSWORD_FILE:-/run/secrets/redis_password}")
case $password in
'' | *[!A-Za-z0-9_-]*)
  echo 'secrets/redis_password must consist of letters, digits, _ and -. Generate one with: openssl rand -hex 32' >&2
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
user qrgate on >$password ~qg:* &qg:* +@read +@write +@scripting +@pubsub +ping -@dangerous -@admin
CONFIG
