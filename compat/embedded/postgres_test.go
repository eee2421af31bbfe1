package embedded_test

import (
	"os"
	"strings"
	"testing"

	"qrgate/compat/embedded"
	"qrgate/internal/secret"
)

// testDatabase names an empty Postgres database that the tests may fill.
const testDatabase = "QRGATE_TEST_DATABASE_URL"

func TestPostgres(t *testing.T) {
	t.Parallel()
	at := os.Getenv(testDatabase)
	if at == "" {
		if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
			t.Fatalf("%s is not set, and all tests are required", testDatabase)
		}
		t.Skipf("set %s to the URL of an empty Postgres database to run this test", testDatabase)
	}
	r, srv := onLoopback(t, embedded.Config{DatabaseURL: secret.NewSecret(at)})
	r.call("DELETE", "/api/sessions/first") // what an earlier run left behind
	r.call("DELETE", "/api/sessions/second")
	r.connect("first")
	r.scan(srv, "first", "5550100")
	if a := r.call("POST", "/api/sessions", `{"sessionId":"first","sessionName":"x"}`); a.status != 409 {
		t.Errorf("twice: %d %s", a.status, a.raw)
	}
	r.make("second")
	if _, err := embedded.New(r.config); err == nil || !strings.Contains(err.Error(), "in use by another gate") {
		t.Errorf("a second engine: %v", err)
	}
	r.stop()
	again := start(t, r.config)
	again.untilStatus("first", "connected", patience)
	for _, id := range []string{"first", "second"} {
		if a := again.call("DELETE", "/api/sessions/"+id); a.status != 200 {
			t.Errorf("delete: %d %s", a.status, a.raw)
		}
	}
	if a := again.call("GET", "/api/sessions"); a.data()["total"] != 0.0 {
		t.Errorf("after the deletes: %s", a.raw)
	}
}

// What is wrong with the database is said without its password.
func TestDatabaseErrorsKeepThePassword(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"postgres://someone:hunter2@127.0.0.1:1/db?connect_timeout=1", "postgres://someone:hunter2@[nonsense/db", "hunter2 no url"} {
		_, err := embedded.New(embedded.Config{DatabaseURL: secret.NewSecret(at), Keys: keys(t, "a:"+keyA)})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "QRGATE_DATABASE_URL") {
			t.Errorf("%v", err)
		}
	}
}
