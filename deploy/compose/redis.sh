#!/bin/sh
# Redis as the gate needs it: one user with a password, who sees the gate's keys alone and can administer nothing; no
# eviction, for a lease that vanishes early makes two replicas poll; writes on disk within a second, for the probes'
# list of what they must clean up.
#
#   REDISCLI_AUTH   the password; redis-cli reads the same variable
#   REDIS_DIR       where to keep data (/data)
#   REDIS_PORT      where to listen (6379)
#   REDIS_MEMORY    how much it may keep (256mb)
set -eu

case ${REDISCLI_AUTH:-} in
'' | *[!A-Za-z0-9_-]*)
  echo 'REDIS_PASSWORD must be of letters, digits, _ and -, for it stands in a URL. Make one with: openssl rand -hex 32' >&2
  exit 2
  ;;
esac

# The configuration comes over standard input, so that the password is in no file and in no list of processes.
# Protected mode looks at the default user, who is off.
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
