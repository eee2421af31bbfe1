package redis

import "github.com/redis/go-redis/v9"

// scripts are the store's operations as Redis runs them. Each is called by its digest and sent whole only
// when the server does not know it yet, as after a restart.
type scripts struct {
	get, put, acquire, release *redis.Script
}

func newScripts() scripts {
	return scripts{
		get:     redis.NewScript(getSource),
		put:     redis.NewScript(putSource),
		acquire: redis.NewScript(acquireSource),
		release: redis.NewScript(releaseSource),
	}
}

const (
	// getSource answers three values for each key: version, bytes, milliseconds left. An absent one is
	// "", "", -2.
	getSource = `
local answer = {}
for i, key in ipairs(KEYS) do
  local record = redis.call('HMGET', key, 'v', 'b')
  answer[3*i-2] = record[1] or ''
  answer[3*i-1] = record[2] or ''
  answer[3*i] = redis.call('PTTL', key)
end
return answer`

	// putSource answers 1, or 0 if the stored version is above ARGV[1]. Versions are compared as decimal
	// texts: Lua's numbers are doubles and lose the last digits above 2^53.
	// ARGV: the version that was read, the new version, bytes, life in ms, channel, what to announce.
	putSource = `
local stored = redis.call('HGET', KEYS[1], 'v') or '0'
if #stored > #ARGV[1] or (#stored == #ARGV[1] and stored > ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'b', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1`

	// acquireSource answers 1, or 0 if somebody else holds the lease. ARGV: owner, life in ms.
	acquireSource = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

	// releaseSource answers 1 if the lease was the owner's, else 0. ARGV: owner.
	releaseSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`
)
