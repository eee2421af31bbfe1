package embedded

import (
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Events that the simulator does not produce.
func TestTranslateEvent_PairingAndBanEvents(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw  any
		want diagnosis.Code // "" is no event at all
	}{
		"passkey failed":          {&events.PairPasskeyError{Error: errors.New("no")}, diagnosis.PasskeyRequired},
		"pairing failed":          {&events.PairError{Error: errors.New("no")}, diagnosis.PairingFailed},
		"banned temporarily":      {&events.TemporaryBan{}, diagnosis.AccountBanned},
		"banned":                  {&events.LoggedOut{OnConnect: true, Reason: 406}, diagnosis.AccountBanned},
		"logged out":              {&events.LoggedOut{OnConnect: true, Reason: 401}, diagnosis.LoggedOut},
		"logged out by the phone": {&events.LoggedOut{Reason: 406}, diagnosis.LoggedOut},
		"unknown client":          {&events.ConnectFailure{Reason: 418}, diagnosis.ClientOutdated},
		"no multi-device":         {&events.QRScannedWithoutMultidevice{}, ""},
		"pings restored":          {&events.KeepAliveRestored{}, ""},
		"a message":               {&events.Message{}, ""},
		"a receipt":               {&events.Receipt{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := translateEvent(tt.raw)
			r, ended := e.(rejected)
			if (e == nil) != (tt.want == "") || ended != (tt.want != "") || r.why.Code != tt.want {
				t.Errorf("%+v, want %q", e, tt.want)
			}
		})
	}
}

// Every reason of the engine is in the diagnosis catalogue.
func TestReasons_AreInTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, code := range []diagnosis.Code{diagnosis.EngineOverloaded, diagnosis.QRExpired, diagnosis.LoggedOut, diagnosis.SessionConflict,
		diagnosis.ClientOutdated, diagnosis.AccountBanned, diagnosis.PairingFailed, diagnosis.PasskeyRequired, diagnosis.Internal,
		diagnosis.WhatsAppUnavailable, diagnosis.WhatsAppSilent, diagnosis.NetworkBlocked, diagnosis.DNSFailed, diagnosis.TLSIntercepted, diagnosis.ProxyRefused} {
		if diagnosis.New(code).Code != code {
			t.Errorf("%s is not in the catalogue", code)
		}
	}
}

// The library's process-wide variable does not change.
func TestClientPayload_HasDeviceName(t *testing.T) {
	t.Parallel()
	dev := whatsappsimtest.Device()
	var props waCompanionReg.DeviceProps
	if err := proto.Unmarshal(clientPayload(dev, "qrgate", store.GetWAVersion())().GetDevicePairingData().GetDeviceProps(), &props); err != nil {
		t.Fatal(err)
	}
	if props.GetOs() != "qrgate" || props.GetPlatformType() != store.DeviceProps.GetPlatformType() {
		t.Errorf("%v", &props)
	}
	if store.DeviceProps.GetOs() == "qrgate" {
		t.Error("the process-wide name has changed")
	}
	jid := types.NewJID("5550100", types.DefaultUserServer)
	dev.ID = &jid
	if p := clientPayload(dev, "qrgate", store.GetWAVersion())(); p.GetUsername() != 5550100 || p.GetDevicePairingData() != nil {
		t.Errorf("login: %v", p)
	}
}

func TestLibraryLog_DropsDebugAndRedacts(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	l := libraryLog{log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))}.Sub("Client").Sub("QRChannel")
	l.Debugf("Emitting QR code %s", "a code")
	if b.Len() > 0 {
		t.Errorf("debug is logged: %s", b.String())
	}
	l.Infof("info about %s", "5550100@s.whatsapp.net")
	l.Warnf("warning")
	l.Errorf("error")
	l.Sub("Socket").Errorf("closed")
	for _, want := range []string{"level=DEBUG msg=closed", "level=DEBUG msg=\"info about [jid]\"", "level=WARN msg=warning", "level=ERROR msg=error", "module=Client/QRChannel"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

func TestStorageReason_FullDiskIsNamed(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE TABLE filler (x); PRAGMA max_page_count=2; INSERT INTO filler VALUES (zeroblob(100000))")
	e := translateEvent(&events.PairError{Error: &whatsmeow.PairDatabaseError{DBErr: err}})
	if r, _ := e.(rejected); r.why.Code != diagnosis.DiskFull {
		t.Errorf("%v is %+v", err, e)
	}
}
