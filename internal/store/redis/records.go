package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"qrgate/internal/store"
)

// errBadRecord is a mistake of the caller's code, not something that happens.
var errBadRecord = errors.New("a record needs a version above the one that was read, and a life above zero")

// Get reads keys in one round trip. The result has one record per key, in their order, with the life it
// has left; an absent or ended one is the zero Record, a tombstone has a Version and no Value. One that ends
// while the answer travels has neither Value nor TTL, only the Version that still keeps older writers out.
// The error wraps qrgate.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := ctx.Err(); err != nil || len(keys) == 0 {
		return nil, err
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = recordPrefix + key
	}
	var records []store.Record
	err := s.do(ctx, "get", func(ctx context.Context) error {
		asked := time.Now()
		answer, err := s.scripts.get.Run(ctx, s.client, names).Slice()
		if err != nil {
			return err
		}
		records, err = decode(answer, len(keys), time.Since(asked))
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// decode reads the answer of the get script for n keys. The server counted the lives at some moment
// within the last took, so took is taken off them: a record never seems to live longer than it does.
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

// Put stores r under key for r.TTL, in whole milliseconds, and wakes the watchers on every replica, if the
// stored version is at most prev, absent being 0. It returns qrgate.ErrVersionConflict if a newer one is stored; that
// includes the rare write that landed although its answer was lost and that was then tried again, so read
// before concluding anything from it. Other errors wrap qrgate.ErrStoreUnavailable (the write may have landed), or
// are context.Canceled if ctx was, or say that r.Version is not above prev, prev is below 0 or r.TTL not above 0.
func (s *Store) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if prev < 0 || r.Version <= prev || r.TTL <= 0 {
		return errBadRecord
	}
	err := s.do(ctx, "put", func(ctx context.Context) error {
		stored, err := parseBool(s.scripts.put.Run(ctx, s.client, []string{recordPrefix + key},
			prev, r.Version, r.Value, millis(r.TTL), channel, key))
		if err == nil && !stored {
			return store.ErrVersionConflict
		}
		return err
	})
	if err == nil {
		// The announcement comes back to us as well, but not while the event connection is down.
		s.watch.wake(key)
	}
	return err
}

// millis rounds a life down to what Redis counts in, but not to nothing.
func millis(life time.Duration) int64 { return max(1, life.Milliseconds()) }

var errBadLease = errors.New("a lease needs an owner and a life above zero")

// Acquire takes or renews owner's lease of key for ttl, in whole milliseconds of the server's clock. It
// reports false while another owner holds it. A lease saves work; it guards nothing, for Redis may lose it
// in a fail-over.
// The error wraps qrgate.ErrStoreUnavailable (the lease may have been taken), or is context.Canceled if ctx was,
// or says that owner is empty or ttl is not above 0.
func (s *Store) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if owner == "" || ttl <= 0 {
		return false, errBadLease
	}
	var ours bool
	err := s.do(ctx, "acquire", func(ctx context.Context) (err error) {
		ours, err = parseBool(s.scripts.acquire.Run(ctx, s.client, []string{leasePrefix + key}, owner, millis(ttl)))
		return err
	})
	return ours && err == nil, err
}

// Release gives owner's lease of key back. A lease of another owner stays as it is.
// The error wraps qrgate.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (s *Store) Release(ctx context.Context, key, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.do(ctx, "release", func(ctx context.Context) error {
		_, err := parseBool(s.scripts.release.Run(ctx, s.client, []string{leasePrefix + key}, owner))
		return err
	})
}

// parseBool reads the answer of a script that says 1 or 0. Anything else was meant for another question.
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

// tablePrefix is where tables live. They are few, small, and have no end of life.
const tablePrefix = "qg:v1:t:"

// maxRows bounds what All reads: a table that grew beyond it is not what this is for.
const maxRows = 10_000

// Table is a small table of rows that all replicas share: one hash. It needs +hdel and +hgetall beside the
// store's own commands.
type Table struct {
	store *Store
	key   string
}

// Table returns the table of this name. It does no I/O.
func (s *Store) Table(name string) *Table { return &Table{s, tablePrefix + name} }

// Put writes a row. The error wraps qrgate.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (t *Table) Put(ctx context.Context, row string, value []byte) error {
	return t.do(ctx, "put", func(ctx context.Context) error { return t.store.client.HSet(ctx, t.key, row, value).Err() })
}

// Drop removes a row; removing what is not there is no error. Its errors are those of Put.
func (t *Table) Drop(ctx context.Context, row string) error {
	return t.do(ctx, "put", func(ctx context.Context) error { return t.store.client.HDel(ctx, t.key, row).Err() })
}

// All returns every row. Its errors are those of Put.
func (t *Table) All(ctx context.Context) (map[string][]byte, error) {
	rows := map[string][]byte{}
	err := t.do(ctx, "get", func(ctx context.Context) error {
		all, err := t.store.client.HGetAll(ctx, t.key).Result()
		if err != nil && err != redis.Nil {
			return err
		}
		if len(all) > maxRows {
			return errProtocol
		}
		for row, value := range all {
			rows[row] = []byte(value)
		}
		return nil
	})
	return rows, err
}

func (t *Table) do(ctx context.Context, op string, command func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.store.do(ctx, op, command)
}
