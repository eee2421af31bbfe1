#!/bin/sh
# Creates what docker-compose.yml reads: .env, as a copy of .env.example, and a file for each secret in secrets/. It changes
# nothing that exists. An empty file is a secret that is not set.
#
# secrets/ is closed to other users of this host. The files in it are not, because the services run as users of their own.
set -eu
cd "$(dirname "$0")/../.."
umask 077

[ -e .env ] || cp .env.example .env
mkdir -p secrets
chmod 700 secrets
for name in secret redis_password grafana_password; do
  [ -s "secrets/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
done
for name in api_keys database_url notify_urls probe_api_key redis_key webhook_secret; do
  [ -e "secrets/$name" ] || : >"secrets/$name"
done
chmod 644 secrets/*
