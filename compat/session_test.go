package compat_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Every body has each field of contract 0 with the type that clients need.
func TestBodies_HaveDocumentedFields(t *testing.T) {
	t.Parallel()
	s := compat.Session{ID: 61, SessionID: "crm-1", SessionName: "Test", Status: "connecting", LastActivity: "a", CreatedAt: "c", UpdatedAt: "u"}
	one := `{"id":61,"sessionId":"crm-1","sessionName":"Test","status":"connecting","phoneNumber":null,"isConnected":false,"hasQR":false,"qrCode":null,` +
		`"qrCodeGeneratedAt":null,"qrCodeExpiresAt":null,"lastActivity":"a","sendToFrappe":false,"webhookUrl":null,"createdAt":"c","updatedAt":"u"`
	code := session.QR{Image: image(t), SeenAt: now, ExpiresAt: now.Add(59 * time.Second)}
	for name, c := range map[string]struct {
		body any
		want string
	}{
		"created": {compat.Created(s), `{"success":true,"message":"Sesión creada correctamente","data":` + one + `,"session":` + one + `}}}`},
		"one":     {compat.SessionBody(s), `{"success":true,"data":` + one + `,"session":` + one + `}}}`},
		"status":  {compat.Status(s), `{"success":true,"data":{"id":61,"sessionId":"crm-1","status":"connecting","phoneNumber":null,"lastActivity":"a","isConnected":false,"hasQR":false}}`},
		"moved":   {compat.ActionResult("m", session.Ref{ID: 61, Name: "crm-1"}, "connecting"), `{"success":true,"message":"m","data":{"id":61,"sessionId":"crm-1","status":"connecting"}}`},
		"qr": {compat.QR(session.Ref{ID: 61, Name: "crm-1"}, code, now), `{"success":true,"data":{"id":61,"sessionId":"crm-1","qrCode":"data:image/png;base64,` + dot +
			`","expiresAt":"2025-11-06T06:34:00.429Z","status":"qr_code","generatedAt":"2025-11-06T06:33:01.429Z","expiresIn":59}}`},
		"problem": {compat.NewProblem("C", "T", now), `{"success":false,"error":"T","message":"T","code":"C","timestamp":"2025-11-06T06:33:01Z"}`},
	} {
		if got := text(t, c.body); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	all := make([]compat.Session, 250)
	for i := range all {
		all[i].ID = int64(i + 1)
	}
	for _, c := range []struct {
		page, limit, first, n int
		pagination            string
	}{
		{1, 10, 1, 10, `{"total":250,"page":1,"limit":10,"pages":25}`},
		{3, 100, 201, 50, `{"total":250,"page":3,"limit":100,"pages":3}`},
		{1, 200, 1, 100, `{"total":250,"page":1,"limit":100,"pages":3}`},
		{0, 0, 1, 1, `{"total":250,"page":1,"limit":1,"pages":250}`},
		{99, 100, 0, 0, `{"total":250,"page":99,"limit":100,"pages":3}`},
		{math.MaxInt, 100, 0, 0, `{"total":250,"page":9223372036854775807,"limit":100,"pages":3}`},
		{-5, -5, 1, 1, `{"total":250,"page":1,"limit":1,"pages":250}`},
	} {
		page, _ := compat.List(all, c.page, c.limit).Data.(compat.Page)
		if len(page.Sessions) != c.n || c.n > 0 && page.Sessions[0].ID != int64(c.first) || page.Total != 250 || text(t, page.Pagination) != c.pagination {
			t.Errorf("page %d of %d: %d from %v, %s", c.page, c.limit, len(page.Sessions), page.Sessions[:min(1, len(page.Sessions))], text(t, page.Pagination))
		}
	}
	if got := text(t, compat.List(nil, 1, 10)); !strings.Contains(got, `"sessions":[]`) {
		t.Errorf("no sessions: %s", got)
	}
}

// No time makes an error look like a rate limit to clients that search for three digits (contract 4.2).
func TestNewProblem_NeverContains429(t *testing.T) {
	t.Parallel()
	for ms := range 1000 {
		body := compat.NewProblem("QR_NOT_READY", "x", time.Date(2025, 11, 6, 6, 33, 1, ms*1e6, time.FixedZone("", 3600))).JSON()
		if strings.Contains(string(body), "429") {
			t.Fatalf("%s", body)
		}
		if want := `"timestamp":"2025-11-06T05:33:01Z"}`; !strings.HasSuffix(string(body), want) {
			t.Fatalf("%s", body)
		}
	}
}
