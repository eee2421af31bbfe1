package embedded

import (
	"testing"

	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// The phone shows our name, and the library's own variable stays as it was.
func TestPhoneShowsOurName(t *testing.T) {
	t.Parallel()
	dev := whatsappsimtest.Device()
	var props waCompanionReg.DeviceProps
	if err := proto.Unmarshal(payload(dev)().GetDevicePairingData().GetDeviceProps(), &props); err != nil {
		t.Fatal(err)
	}
	if props.GetOs() != "qrgate" || props.GetPlatformType() != store.DeviceProps.GetPlatformType() {
		t.Errorf("%v", &props)
	}
	if store.DeviceProps.GetOs() == "qrgate" {
		t.Error("the name of the whole process has changed")
	}
	jid := types.NewJID("5550100", types.DefaultUserServer)
	dev.ID = &jid
	if p := payload(dev)(); p.GetUsername() != 5550100 || p.GetDevicePairingData() != nil {
		t.Errorf("login: %v", p)
	}
}
