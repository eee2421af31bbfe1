package whatsappsim_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/whatsappsim"
)

func TestFault_UnmarshalJSON(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want whatsappsim.Fault
		bad  bool
	}{
		"healthy":             {text: `{}`},
		"names in any case":   {text: `{"failure":405,"HTTPSTATUS":503,"silentIQ":true}`, want: whatsappsim.Fault{Failure: 405, HTTPStatus: 503, SilentIQ: true}},
		"durations as text":   {text: `{"PairDelay":"1.5s","CutAfterRefs":"2s","RefreshAfterRefs":"3s","UnlinkAfter":"1m"}`, want: whatsappsim.Fault{PairDelay: 1500 * time.Millisecond, CutAfterRefs: 2 * time.Second, RefreshAfterRefs: 3 * time.Second, UnlinkAfter: time.Minute}},
		"durations as number": {text: `{"PairDelay":1000000}`, want: whatsappsim.Fault{PairDelay: time.Millisecond}},
		"a fault in a fault":  {text: `{"AfterScan":{"Failure":401,"UnlinkAfter":"1s"}}`, want: whatsappsim.Fault{AfterScan: &whatsappsim.Fault{Failure: 401, UnlinkAfter: time.Second}}},
		"an unknown name":     {text: `{"Fail":405}`, bad: true},
		"unknown, further in": {text: `{"AfterScan":{"Fail":401}}`, bad: true},
		"a bad duration":      {text: `{"PairDelay":"soon"}`, bad: true},
		"a list":              {text: `[]`, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := whatsappsim.Fault{NoRestart: true} // what was there before is gone
			err := json.Unmarshal([]byte(tt.text), &got)
			if tt.bad {
				if err == nil {
					t.Errorf("accepted as %+v", got)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

// What is written can be read: a fault survives the way over JSON.
func TestFault_JSONRoundTrip(t *testing.T) {
	t.Parallel()
	want := whatsappsim.Fault{HTTPStatus: 503, StreamError: "conflict", Refs: 2, PairDelay: time.Second, BadCert: true,
		AfterScan: &whatsappsim.Fault{HangUpgrade: true}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got whatsappsim.Fault
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
