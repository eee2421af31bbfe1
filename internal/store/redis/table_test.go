package redis_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

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
