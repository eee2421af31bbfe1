package whatsappsim

import (
	"context"
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/proto/waWa6"
)

// A full server refuses the next connection and takes one again when one has gone.
func TestBounds_Connections(t *testing.T) {
	t.Parallel()
	srv := &Server{}
	var last *conn
	for range maxConns {
		if last = srv.addConn(t.Context()); last == nil {
			t.Fatal("refused too early")
		}
	}
	if srv.addConn(t.Context()) != nil {
		t.Error("one too many")
	}
	srv.removeConn(last)
	if srv.addConn(t.Context()) == nil {
		t.Error("refused although one has gone")
	}
	if st := srv.Stats(); st.Dials != maxConns+2 || st.Open != maxConns {
		t.Errorf("%+v", st)
	}
}

func TestBounds_Devices(t *testing.T) {
	t.Parallel()
	srv := &Server{}
	c := newConn(context.Background(), Fault{})
	c.payload = &waWa6.ClientPayload{}
	for i := range maxDevices {
		if err := srv.link(c, Account{User: "5550100", Device: 1}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.link(c, Account{User: "5550100", Device: 1}, maxDevices); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	c.device = deviceID{0, 1}
	if n := srv.addPreKeys(c, 1<<40); n != maxPreKeys {
		t.Errorf("%d prekeys", n)
	}
}

func TestBounds_Refs(t *testing.T) {
	t.Parallel()
	for in, want := range map[int]int{-1: defaultRefs, 0: defaultRefs, 1: 1, maxRefs: maxRefs, 1 << 30: maxRefs} {
		if got := (Fault{Refs: in}).refs(); got != want {
			t.Errorf("%d refs became %d", in, got)
		}
	}
}

// An account that has all its devices links no other.
func TestBounds_DeviceNumbers(t *testing.T) {
	t.Parallel()
	srv := &Server{}
	c := newConn(t.Context(), Fault{})
	for want := uint16(1); want <= maxDevice; want++ {
		a, err := srv.withDefaults(Account{User: "5550100"}, 5550100)
		if err != nil || a.Device != want {
			t.Fatalf("device %d, %v, want %d", a.Device, err, want)
		}
		if err := srv.link(c, a, 5550100); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := srv.withDefaults(Account{User: "5550100"}, 5550100); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}
