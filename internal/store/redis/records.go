package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"qrgate/internal/store"
)

// Get reads keys in one round trip. The result has one record per key, in their order, with its remaining TTL; an
// absent or expired one is the zero Record, a tombstone has a Version and no Value. A record that expires during the
// round trip has only its Version. The error wraps store.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := ctx.Err(); err != nil || len(keys) == 0 {
		return nil, err
	}
	var records []store.Record
	err := s.do(ctx, "get", func(ctx context.Context) (err error) {
		records, err = s.get(ctx, keys)
		return err
	})
	return records, err
}

// get reads keys: in one round trip if they share a slot, as all that qrgate reads together do, else one by one.
func (s *Store) get(ctx context.Context, keys []string) ([]store.Record, error) {
	if s.topology == cluster && !shareSlot(keys) {
		records := make([]store.Record, 0, len(keys))
		for _, key := range keys {
			r, err := s.get(ctx, []string{key})
			if err != nil {
				return nil, err
			}
			records = append(records, r...)
		}
		return records, nil
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = recordPrefix + key
	}
	askedAt := time.Now()
	reply, err := s.scripts.get.Run(ctx, s.client, names).Slice()
	if err != nil {
		return nil, err
	}
	return decode(reply, len(keys), time.Since(askedAt))
}

// shareSlot reports whether keys have one hash tag, and so are in one slot of a cluster.
func shareSlot(keys []string) bool {
	for _, key := range keys[1:] {
		if hashTag(key) != hashTag(keys[0]) {
			return false
		}
	}
	return true
}

// hashTag is what decides on a key's slot: the text in its first braces, else all of it.
func hashTag(key string) string {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return tag
		}
	}
	return key
}

// decode parses the reply of the get script for n keys. The server computed the TTLs at some moment within the last
// took, so took is subtracted: no record appears to live longer than it does.
func decode(answer []any, n int, took time.Duration) ([]store.Record, error) {
	if len(answer) != 3*n {
		return nil, errProtocol
	}
	records := make([]store.Record, n)
	for i := range records {
		version, ok1 := answer[3*i].(string)
		value, ok2 := answer[3*i+1].(string)
		millis, ok3 := answer[3*i+2].(int64)
		if !ok1 || !ok2 || !ok3 {
			return nil, errProtocol
		}
		if version == "" {
			continue
		}
		v, err := strconv.ParseInt(version, 10, 64)
		if err != nil || v <= 0 {
			return nil, errProtocol
		}
		records[i].Version = v
		if left := time.Duration(millis)*time.Millisecond - took; left > 0 {
			records[i].Value, records[i].TTL = append([]byte(nil), value...), left
		}
	}
	return records, nil
}

// Put stores r under key for r.TTL, in whole milliseconds, and wakes the watchers on every replica, if the stored
// version is at most prev; absent counts as 0. It returns store.ErrVersionConflict if a newer one is stored. That
// includes a write that succeeded, lost its reply and was retried: read the record before you conclude anything. Other
// errors wrap store.ErrStoreUnavailable (the write may have succeeded), or are context.Canceled if ctx was, or state
// that r.Version is not above prev, prev is negative or r.TTL not positive.
func (s *Store) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := store.CheckPut(prev, r); err != nil {
		return err
	}
	err := s.do(ctx, "put", func(ctx context.Context) error {
		stored, err := s.put(ctx, key, prev, r)
		if err == nil && !stored {
			return store.ErrVersionConflict
		}
		return err
	})
	if err == nil {
		// This process receives the announcement too, but not while its event connection is down.
		s.watch.Wake(key)
	}
	return err
}

func (s *Store) put(ctx context.Context, key string, prev int64, r store.Record) (stored bool, err error) {
	return parseBool(s.scripts.put.Run(ctx, s.client, []string{recordPrefix + key},
		prev, r.Version, r.Value, millis(r.TTL), channel, key))
}

// millis rounds a TTL down to milliseconds, but not to zero.
func millis(life time.Duration) int64 { return max(1, life.Milliseconds()) }

// Acquire takes or renews owner's lease of key for ttl, in whole milliseconds of the server's clock. It reports false
// while another owner holds it. A lease saves calls; correctness must not depend on it, because Redis may lose it in a
// failover. The error wraps store.ErrStoreUnavailable (the lease may have been taken), or is context.Canceled if ctx
// was, or states that owner is empty or ttl is not positive.
func (s *Store) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := store.CheckLease(owner, ttl); err != nil {
		return false, err
	}
	var ours bool
	err := s.do(ctx, "acquire", func(ctx context.Context) (err error) {
		ours, err = s.acquire(ctx, key, owner, ttl)
		return err
	})
	return ours && err == nil, err
}

func (s *Store) acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	return parseBool(s.scripts.acquire.Run(ctx, s.client, []string{leasePrefix + key}, owner, millis(ttl)))
}

// Release ends owner's lease of key. A lease of another owner is not changed. The error wraps
// store.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (s *Store) Release(ctx context.Context, key, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.do(ctx, "release", func(ctx context.Context) error { return s.release(ctx, key, owner) })
}

func (s *Store) release(ctx context.Context, key, owner string) error {
	_, err := parseBool(s.scripts.release.Run(ctx, s.client, []string{leasePrefix + key}, owner))
	return err
}

// parseBool parses the reply of a script that returns 1 or 0. Any other reply belongs to another command.
func parseBool(answer *redis.Cmd) (bool, error) {
	value, err := answer.Result()
	if err != nil {
		return false, err
	}
	switch value {
	case int64(1):
		return true, nil
	case int64(0):
		return false, nil
	default:
		return false, errProtocol
	}
}

// scripts are the store's operations in Lua. Each is called by its digest; its text is sent only when the server does
// not know it, as after a restart.
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
	// getSource returns three values for each key: version, bytes, remaining milliseconds. An absent key is "", "", -2.
	getSource = `
local answer = {}
for i, key in ipairs(KEYS) do
  local record = redis.call('HMGET', key, 'v', 'b')
  answer[3*i-2] = record[1] or ''
  answer[3*i-1] = record[2] or ''
  answer[3*i] = redis.call('PTTL', key)
end
return answer`

	// putSource returns 1, or 0 if the stored version is above ARGV[1]. Versions are compared as decimal text: Lua's
	// numbers are doubles and lose digits above 2^53.
	// ARGV: the version that was read, the new version, bytes, TTL in ms, channel, announcement.
	putSource = `
local stored = redis.call('HGET', KEYS[1], 'v') or '0'
if #stored > #ARGV[1] or (#stored == #ARGV[1] and stored > ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'b', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1`

	// acquireSource returns 1, or 0 if another owner holds the lease. ARGV: owner, TTL in ms.
	acquireSource = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

	// releaseSource returns 1 if the lease was the owner's, else 0. ARGV: owner.
	releaseSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`
)

// tablePrefix begins the keys of tables. They are few, small, and do not expire.
const tablePrefix = "qg:v1:t:"

const (
	maxRows  = 10_000 // that All returns
	pageRows = 1_000  // that All reads at once, about
	maxPages = 1_000  // of a table; a server with more is out of order
)

// Table is a small table that all replicas share: one hash. It needs the permissions +hdel and +hscan.
type Table struct {
	store *Store
	key   string
}

// Table returns the table of this name. It does no I/O.
func (s *Store) Table(name string) *Table { return &Table{s, tablePrefix + name} }

// Put writes a row. The error wraps store.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (t *Table) Put(ctx context.Context, row string, value []byte) error {
	return t.do(ctx, "put", func(ctx context.Context) error { return t.store.client.HSet(ctx, t.key, row, value).Err() })
}

// Drop removes a row, if it exists. Its errors are those of Put.
func (t *Table) Drop(ctx context.Context, row string) error {
	return t.do(ctx, "put", func(ctx context.Context) error { return t.store.client.HDel(ctx, t.key, row).Err() })
}

// All returns the rows, of a larger table the first 10,000 by name. Its errors are those of Put.
func (t *Table) All(ctx context.Context) (map[string][]byte, error) {
	rows := map[string][]byte{}
	cursor := uint64(0)
	for page := 0; page == 0 || cursor != 0; page++ {
		err := t.do(ctx, "get", func(ctx context.Context) (err error) {
			var pairs []string
			pairs, cursor, err = t.store.client.HScan(ctx, t.key, cursor, "", pageRows).Result()
			if err == nil && (len(pairs)%2 != 0 || page == maxPages) {
				err = errProtocol
			}
			for pair := range slices.Chunk(pairs, 2) {
				rows[pair[0]] = []byte(pair[len(pair)-1])
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if cursor == 0 || len(rows) > 2*maxRows {
			keepFirst(rows)
		}
	}
	return rows, nil
}

// keepFirst removes all rows but the first maxRows by name.
func keepFirst(rows map[string][]byte) {
	names := slices.Sorted(maps.Keys(rows))
	for _, name := range names[min(maxRows, len(names)):] {
		delete(rows, name)
	}
}

func (t *Table) do(ctx context.Context, op string, command func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.store.do(ctx, op, command)
}
