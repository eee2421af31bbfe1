package embedded

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"qrgate/internal/diagnosis"
)

// deviceName is what the phone shows in its list of linked devices.
const deviceName = "qrgate"

// payload is what a client tells WhatsApp about itself: what the library says, under our name. The library's
// own way to change the name is a variable of the whole process (store.DeviceProps).
func payload(dev *store.Device) func() *waWa6.ClientPayload {
	return func() *waWa6.ClientPayload {
		p := dev.GetClientPayload()
		reg := p.GetDevicePairingData()
		if reg == nil {
			return p
		}
		var props waCompanionReg.DeviceProps
		if err := proto.Unmarshal(reg.GetDeviceProps(), &props); err != nil {
			return p
		}
		props.Os = proto.String(deviceName)
		if named, err := proto.Marshal(&props); err == nil {
			reg.DeviceProps = named
		}
		return p
	}
}

// scanned is asked before the library stores a pairing. The session learns the device's name first, so that a
// process that dies in between leaves no keys behind that nobody owns; and whoever had that name before, in
// another session or left over from an unlinked device, loses it: WhatsApp gives the numbers of unlinked
// devices to new ones. Two sessions may be linked to one phone as long as they are two devices.
func (l *connection) scanned(jid types.JID, _, _ string) bool {
	e := l.session.engine
	e.evict(jid.String(), l.session)
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if err := e.db.forget(ctx, jid.String()); err != nil {
		l.session.log().Error("a device could not make room", "error", scrub(err.Error()))
		return false
	}
	return l.report(scanned{jid: jid.String()})
}

// evict unlinks every other session that claims a device which was just made anew.
func (e *Engine) evict(jid string, but *engineSession) {
	for _, s := range e.all() {
		if s != but && s.view().link.JID == jid {
			why := newReason(diagnosis.LoggedOut, "WhatsApp has given this session's device to another one.")
			s.apply(nil, rejected{why: why, unlinked: true})
		}
	}
}
