package whatsapp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
	"qrgate/probes/whatsapp"
)

// end is where a check ended, and why.
type end struct {
	Step session.ConnectivityStep
	Code diagnosis.Code
}

// Each fault between this host and WhatsApp fails its step and has its diagnosis.
func TestCheck_FaultsNameCauseAndStep(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		network whatsappsimtest.Network
		want    end
	}{
		"free":                {whatsappsimtest.HealthyTLS, end{session.StepHandshake, diagnosis.None}},
		"no name":             {whatsappsimtest.Unresolvable, end{session.StepDNS, diagnosis.DNSFailed}},
		"refused":             {whatsappsimtest.Refused, end{session.StepTCP, diagnosis.NetworkBlocked}},
		"foreign certificate": {whatsappsimtest.UntrustedCertificate, end{session.StepTLS, diagnosis.TLSIntercepted}},
		"no TLS at all":       {whatsappsimtest.PlainHTTP, end{session.StepTLS, diagnosis.TLSIntercepted}},
		"proxy forbids":       {whatsappsimtest.ViaRefusingProxy(http.StatusForbidden), end{session.StepTLS, diagnosis.ProxyRefused}},
		"no proxy":            {whatsappsimtest.ViaProxy("127.0.0.1:1"), end{session.StepTCP, diagnosis.ProxyRefused}},
		"turned away":         {whatsappsimtest.WithFault(whatsappsim.Fault{HTTPStatus: 503}), end{session.StepUpgrade, diagnosis.WhatsAppUnavailable}},
		"forbidden":           {whatsappsimtest.WithFault(whatsappsim.Fault{HTTPStatus: 403}), end{session.StepUpgrade, diagnosis.NetworkBlocked}},
		"outdated":            {whatsappsimtest.WithFault(whatsappsim.Fault{Failure: 405}), end{session.StepHandshake, diagnosis.ClientOutdated}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tt.network(t)
			var steps []compat.DialStep
			got := whatsapp.Check(t.Context(), whatsapp.Config{Client: c, Handshake: handshakeBy(c),
				Progress: func(s compat.DialStep) { steps = append(steps, s) }})
			if diff := cmp.Diff(tt.want, end{got.Step, got.Code}); diff != "" {
				t.Errorf("(-want +got)\n%s\n%q", diff, got.Evidence)
			}
			if got.At.IsZero() || got.Took <= 0 || len(got.Evidence) != len(steps) || got.OK() != (tt.want.Code == diagnosis.None) {
				t.Errorf("%+v after %d steps", got, len(steps))
			}
			for i, s := range steps {
				if s.OK != (i < len(steps)-1 || tt.want.Code == diagnosis.None) || s.Detail == "" {
					t.Errorf("step %+v", s)
				}
			}
		})
	}
}

// Every step of a working connection is reported, in order.
func TestCheck_ReportsEveryStep(t *testing.T) {
	t.Parallel()
	c := whatsappsimtest.HealthyTLS(t)
	var got []session.ConnectivityStep
	whatsapp.Check(t.Context(), whatsapp.Config{Client: c, Handshake: handshakeBy(c), Progress: func(s compat.DialStep) { got = append(got, s.Name) }})
	want := session.ConnectivitySteps()[1:] // the simulator is dialed by its address
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A server that never responds ends the check by its timeout.
func TestCheck_SilentServerTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: whatsappsim.Fault{HangUpgrade: true}}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		got := whatsapp.Check(t.Context(), whatsapp.Config{Client: pipe.HTTPClient()})
		if got.Step != session.StepUpgrade || got.Code != diagnosis.WhatsAppSilent || got.Took != 15*time.Second {
			t.Errorf("%+v", got)
		}
	})
}

func handshakeBy(c *http.Client) func(context.Context) (diagnosis.Code, string) {
	return func(ctx context.Context) (diagnosis.Code, string) { return embedded.Handshake(ctx, c) }
}

// The evidence contains no keys and no codes.
func TestCheck_EvidenceIsShortAndRedacted(t *testing.T) {
	t.Parallel()
	c := whatsappsimtest.HealthyTLS(t)
	for _, line := range whatsapp.Check(t.Context(), whatsapp.Config{Client: c, Handshake: handshakeBy(c)}).Evidence {
		if len(line) > 120 || strings.Contains(line, "linked_devices") {
			t.Errorf("%q", line)
		}
	}
}
