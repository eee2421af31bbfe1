package redis_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"qrgate/internal/secret"
	"qrgate/internal/store"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/redistest"
)

func TestTable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	open := func() *redis.Table {
		s, err := redis.New(redis.Config{URL: secret.NewSecret(server.URL())})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s.Table("intents")
	}
	a, b := open(), open()
	if rows, err := a.All(t.Context()); err != nil || len(rows) != 0 {
		t.Fatalf("an empty table: %v %v", rows, err)
	}
	for row, value := range map[string]string{"one": "1", "two": "2", "three": "\x00\xff"} {
		if err := a.Put(t.Context(), row, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Put(t.Context(), "one", []byte("uno")), b.Drop(t.Context(), "two"), b.Drop(t.Context(), "nothing")); err != nil {
		t.Fatal(err)
	}
	rows, err := b.All(t.Context())
	if diff := cmp.Diff(map[string][]byte{"one": []byte("uno"), "three": []byte("\x00\xff")}, rows); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	server.Stop()
	if _, err := a.All(t.Context()); !errors.Is(err, store.ErrStoreUnavailable) {
		t.Errorf("without a server: %v", err)
	}
}

// A table of any size is read in pages; the first 10,000 rows by name are returned, and the others once those are gone.
func TestTable_LargeTableIsReadInPages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, err := redis.New(redis.Config{URL: secret.NewSecret(server.URL())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	raw := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = raw.Close() })
	var pairs, first []string
	for n := range 12_000 {
		name := fmt.Sprintf("%05d", n)
		pairs = append(pairs, name, "value of "+name)
		if n < 5000 {
			first = append(first, name)
		}
	}
	if err := raw.HSet(t.Context(), "qg:v1:t:large", pairs).Err(); err != nil {
		t.Fatal(err)
	}
	check := func(from, to int) {
		t.Helper()
		rows, err := s.Table("large").All(t.Context())
		if err != nil || len(rows) != to-from {
			t.Fatalf("%d rows, want %d: %v", len(rows), to-from, err)
		}
		for n := from; n < to; n++ {
			name := fmt.Sprintf("%05d", n)
			if string(rows[name]) != "value of "+name {
				t.Fatalf("row %s is %q", name, rows[name])
			}
		}
	}
	check(0, 10_000)
	if err := raw.HDel(t.Context(), "qg:v1:t:large", first...).Err(); err != nil {
		t.Fatal(err)
	}
	check(5000, 12_000)
}
