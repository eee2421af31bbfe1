package dialect

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/session"
)

func TestEncodeName_RoundTrip(t *testing.T) {
	for _, name := range []string{"shop-1", "Tienda Ñandú 34/7", "34600000000", "x64-abc", "a.b", "_", "%2F", strings.Repeat("ñ", 30)} {
		id := EncodeName(name)
		if !session.ValidID(id) || strings.Trim(id, "0123456789") == "" || DecodeName(id) != name {
			t.Errorf("%q: %q: %q", name, id, DecodeName(id))
		}
	}
	if EncodeName("shop-1") != "shop-1" {
		t.Error("a plain name is encoded")
	}
}

func TestSpliceMember_LeavesOtherBytes(t *testing.T) {
	for name, test := range map[string]struct{ object, value, want string }{
		"replaced":     {`{"a": 1,"qrcode":{"count":0} , "b":"\u00e9"}`, `{"count":1}` + "\n", `{"a": 1,"qrcode":{"count":1} , "b":"\u00e9"}`},
		"nested alike": {`{"a":{"qrcode":1},"qrcode":2}`, `3`, `{"a":{"qrcode":1},"qrcode":3}`},
		"missing":      {`{"a":1}`, `2`, `{"a":1}`},
		"no object":    {`[1]`, `2`, `[1]`},
		"broken":       {`{"a":1,"qrcode":`, `2`, `{"a":1,"qrcode":`},
	} {
		if got := string(SpliceMember([]byte(test.object), "qrcode", []byte(test.value))); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestNative_Match(t *testing.T) {
	n := &Native{Routes: []Route{
		{Method: http.MethodGet, Path: "/instance/connect/{name}", Means: MeansBeginQR},
		{Method: http.MethodPost, Path: "/api/sessions/start", Means: MeansBegin},
		{Method: http.MethodPost, Path: "/api/sessions/{name}/start", Means: MeansBegin},
	}}
	for target, want := range map[string]string{
		"GET /instance/connect/My%20Shop":  "/instance/connect/{name} My Shop",
		"GET /instance/connect/a%2Fb":      "/instance/connect/{name} a/b",
		"GET /instance/connect/My%20Shop/": "/instance/connect/{name} My Shop",
		"GET /Instance/CONNECT/Shop":       "/instance/connect/{name} Shop",
		"GET /instance/connect/":           "none",
		"GET /instance/connect/a/b":        "none",
		"GET /instance/connect/a%zz":       "none",
		"POST /instance/connect/a":         "none",
		"POST /api/sessions/start":         "/api/sessions/start ",
		"POST /api/sessions/one/start":     "/api/sessions/{name}/start one",
	} {
		method, path, _ := strings.Cut(target, " ")
		got := "none"
		if route, name := n.Match(method, path); route != nil {
			got = route.Path + " " + name
		}
		if got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestCodes_LifeAndDeath(t *testing.T) {
	traits := Traits{FirstTTL: 45 * time.Second, LaterTTL: 20 * time.Second, Settle: 6 * time.Second}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	const first, second = "2@first,a,b,c", "2@second,a,b,c"
	record := func(c *Codes, code string, seconds int) { _, _ = c.Record("s", code, at(seconds), at(seconds)) }
	for name, test := range map[string]struct {
		do       func(c *Codes)
		at       int
		shown    string
		mayBegin bool
	}{
		"nothing known":                {func(*Codes) {}, 0, "", true},
		"just begun":                   {func(c *Codes) { c.Begin("s", at(0)) }, 5, "", false},
		"begun and silent":             {func(c *Codes) { c.Begin("s", at(0)) }, 6, "", true},
		"a code":                       {func(c *Codes) { record(c, first, 0) }, 44, first, false},
		"a code at its end":            {func(c *Codes) { record(c, first, 0) }, 45, "", true},
		"a code that is repeated":      {func(c *Codes) { record(c, first, 0); record(c, first, 40) }, 50, "", true},
		"the next code":                {func(c *Codes) { record(c, first, 0); record(c, second, 40) }, 59, second, false},
		"the next code at its end":     {func(c *Codes) { record(c, first, 0); record(c, second, 40) }, 60, "", true},
		"a code that a begin ended":    {func(c *Codes) { record(c, first, 0); c.Begin("s", at(1)) }, 8, "", true},
		"a dead code that is repeated": {func(c *Codes) { record(c, first, 0); c.Begin("s", at(1)); record(c, first, 2) }, 8, "", true},
		"the first code after a begin": {func(c *Codes) { record(c, first, 0); c.Begin("s", at(1)); record(c, second, 2) }, 46, second, false},
		"a session that ended":         {func(c *Codes) { record(c, first, 0); c.Forget("s") }, 1, "", true},
		"another session":              {func(c *Codes) { _, _ = c.Record("other", first, at(0), at(0)) }, 1, "", true},
	} {
		c := newCodes(traits)
		test.do(c)
		shown := c.Present("s", at(test.at))
		if shown != test.shown || c.MustNotBegin("s", at(test.at)) == test.mayBegin {
			t.Errorf("%s: shown %q, may begin %t", name, shown, !c.MustNotBegin("s", at(test.at)))
		}
	}
}

func TestCodes_Bounded(t *testing.T) {
	c := newCodes(Traits{})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range maxEntries + 10 {
		c.Begin(strings.Repeat("s", i%7)+string(rune('a'+i%26))+time.Duration(i).String(), start.Add(time.Duration(i)))
	}
	if len(c.entries) > maxEntries {
		t.Errorf("%d entries", len(c.entries))
	}
}
