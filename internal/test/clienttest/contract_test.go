package clienttest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

// outcome is what a client ends with, in one word.
func outcome(r clienttest.Result) string {
	switch {
	case errors.Is(r.Err, clienttest.ErrCrashed):
		return "crash"
	case errors.Is(r.Err, clienttest.ErrAborted):
		return "abort"
	case r.Err != nil:
		return r.Err.Error()
	case r.GotQR && r.Broken:
		return "broken"
	case r.GotQR:
		return "qr"
	case r.Claims:
		return "lie" // it reports success and has no QR
	}
	return "none"
}

// The incident, client by client: who gets a QR from an engine whose code comes 4 s after the connect, and whose /qr
// says 500 until then (contract 4.4). session_status asks for none.
func TestIncident_ClientsFail(t *testing.T) {
	t.Parallel()
	incident := map[string]string{
		"create_session":            "qr", // on its second ask, at 5 s
		"wizard":                    "qr",
		"session_status":            "lie",
		"test_rapido_final":         "none",
		"quick_test_baileys_fix":    "none",
		"test_correct_qr_flow":      "none",
		"test_session_flow_updated": "none",
		"baileys_issue_analysis":    "none",
		"quick_qr_debug":            "qr",
		"diagnose_qr_issue":         "qr",
		"debug_qr_issue":            "qr",
		"fix_qr_generation":         "qr",
		"test_qr_generation_wait":   "none", // by construction (C21)
		"gs_class":                  "abort",
	}
	healthy := map[string]string{}
	for name := range incident {
		healthy[name] = "qr"
	}
	healthy["session_status"] = "lie"
	healthy["test_qr_generation_wait"] = "none" // it leaves as soon as the status shows a code

	compare(t, incident, func() *enginesim.Engine { return enginesim.Incident() })
	compare(t, healthy, func() *enginesim.Engine { return &enginesim.Engine{} })
}

func compare(t *testing.T, want map[string]string, engine func() *enginesim.Engine) {
	t.Helper()
	got := map[string]string{}
	for _, c := range clienttest.All() {
		got[c.Name] = outcome(run(t, c.Run, engine()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// What each client does after a first "not yet", when the second request gets the QR (contract 4.4, second table).
func TestNotYet_FirstResponse(t *testing.T) {
	t.Parallel()
	oneShots := []string{"test_rapido_final", "quick_test_baileys_fix", "test_correct_qr_flow",
		"test_session_flow_updated", "quick_qr_debug"}
	patient := []string{"create_session", "diagnose_qr_issue", "debug_qr_issue", "fix_qr_generation"}
	rows := map[string]struct {
		status int
		null   bool
		except map[string]string
	}{
		"202":               {202, false, nil},
		"200 success:false": {200, false, nil},
		"200, code null":    {200, true, map[string]string{"quick_qr_debug": "lie", "test_session_flow_updated": "crash"}},
		"404":               {404, false, map[string]string{"diagnose_qr_issue": "abort"}},
		"409":               {409, false, nil},
		"425":               {425, false, nil},
		"500":               {500, false, nil},
		"503":               {503, false, nil},
		"204":               {204, false, nil},
		"HTML 502":          {502, false, map[string]string{"quick_qr_debug": "crash", "test_correct_qr_flow": "crash"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range clienttest.All() {
				want := "none"
				if slices.Contains(patient, c.Name) {
					want = "qr"
				} else if !slices.Contains(oneShots, c.Name) {
					continue
				}
				if exception, ok := row.except[c.Name]; ok {
					want = exception
				}
				engine := &enginesim.Engine{QRAfterRequests: 1, NotYet: row.status, NotYetNull: row.null}
				if got := outcome(run(t, c.Run, engine)); got != want {
					t.Errorf("%s ends with %s, want %s", c.Name, got, want)
				}
			}
		})
	}
}

// When each client asks for a QR that never comes.
func TestPollTimes(t *testing.T) {
	t.Parallel()
	tests := map[string][]int{
		"create_session":            {0, 5, 10},
		"wizard":                    {0, 5, 10, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55}, // three by the server, ten by the page
		"test_rapido_final":         {0},
		"quick_test_baileys_fix":    {2},
		"test_correct_qr_flow":      {3},
		"test_session_flow_updated": {3},
		"baileys_issue_analysis":    {0},
		"quick_qr_debug":            {10},
		"diagnose_qr_issue":         nil, // the status never shows a code
		"debug_qr_issue":            nil,
		"fix_qr_generation":         nil,
		"test_qr_generation_wait":   {0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55},
		"gs_class":                  {0},
	}
	for _, c := range clienttest.All() {
		want, ok := tests[c.Name]
		if !ok {
			continue
		}
		r := run(t, c.Run, &enginesim.Engine{QRDelay: 24 * time.Hour})
		if diff := cmp.Diff(want, times(r, "/qr")); diff != "" {
			t.Errorf("%s\n%s", c.Name, diff)
		}
	}
}

// When the patient ones ask, if the status shows a code and /qr denies it.
func TestPollTimes_WaitingClients(t *testing.T) {
	t.Parallel()
	every := func(step, end int) (all []int) {
		for at := 0; at < end; at += step {
			all = append(all, at)
		}
		return all
	}
	tests := map[string][]int{
		"diagnose_qr_issue": {0, 10, 20, 30, 40},
		"debug_qr_issue":    every(5, 120),
		"fix_qr_generation": {5, 10, 15, 20, 25, 35, 45, 55, 65, 75, 90, 105, 120},
	}
	for _, c := range clienttest.All() {
		want, ok := tests[c.Name]
		if !ok {
			continue
		}
		r := run(t, c.Run, &enginesim.Engine{QRAfterRequests: 1000})
		if diff := cmp.Diff(want, times(r, "/qr")); diff != "" {
			t.Errorf("%s\n%s", c.Name, diff)
		}
	}
}
