package session_test

import (
	"fmt"
	"time"

	"qrgate/internal/session"
)

// A session whose engine accepts the connect and names the cause of the missing QR.
func ExampleDiagnose() {
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	s := session.Session{CreatedHere: true}.AfterConnect(start)
	report := session.SessionReport{State: session.Disconnected, Reason: "405 Connection Failure"}
	s = s.AfterPoll(report, nil, start.Add(time.Second))
	d := session.Diagnose(s, session.Environment{}, start.Add(2*time.Second))
	fmt.Println(d.Code, d.Who)
	fmt.Println(d.Title)
	// Output:
	// client_outdated operator
	// WhatsApp refuses this version of the engine's library
}
