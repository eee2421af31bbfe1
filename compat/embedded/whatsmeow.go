package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
)

// defaultDeviceName is shown in the phone's list of linked devices.
const defaultDeviceName = "qrgate"

// Texts of more than one reason.
const (
	textNoCodes      = "WhatsApp sent an empty set of codes."
	textNoHandshake  = "WhatsApp accepted the connection and did not finish the handshake."
	textEarlyRestart = "WhatsApp requested a new connection before any code was scanned."
)

var reasonOutdated = newReason(diagnosis.ClientOutdated, "WhatsApp refuses this version of the library; update qrgate.")

// newClient returns a client for the connection's device, or the event that reports why there is none.
func (c *connection) newClient() (*whatsmeow.Client, event) {
	e := c.session.engine
	dev, err := e.db.device(c.ctx, c.jid)
	if err != nil {
		why := newReason(diagnosis.Internal, "The keys of the device could not be read.")
		return nil, rejected{why: why, retryable: true}
	}
	if dev == nil {
		why := newReason(diagnosis.LoggedOut, "The keys of the linked device are missing.")
		return nil, rejected{why: why, unlinked: true}
	}
	library, version := e.library, e.version.get()
	library.onRefresh = c.onRefresh
	cli := configureClient(whatsmeow.NewClient(dev, library), e.http, clientPayload(dev, e.deviceName, version))
	cli.SetMediaHTTPClient(e.http)
	cli.ManualHistorySyncDownload = true // nothing here reads the history
	cli.AddEventHandler(func(raw any) {
		if confirmation, ok := raw.(*events.PairPasskeyConfirmation); ok {
			c.onPasskeyConfirmation(confirmation)
			return
		}
		translated := translateEvent(raw)
		if _, outdated := raw.(*events.ClientOutdated); outdated && e.version.hasNewer(c.ctx, version) {
			translated = lost{why: reasonOutdated}
		}
		if translated != nil {
			c.report(translated)
		}
	})
	cli.PrePairCallback = c.onScan
	return cli, nil
}

// configureClient applies the settings of every client; the package comment says why reconnects are off.
func configureClient(
	cli *whatsmeow.Client, dialer *http.Client, payload func() *waWa6.ClientPayload,
) *whatsmeow.Client {
	cli.SetPreLoginHTTPClient(dialer)
	cli.SetWebsocketHTTPClient(dialer)
	cli.EnableAutoReconnect = false
	cli.DisableLoginAutoReconnect = true
	cli.GetClientPayload = payload
	return cli
}

// clientPayload is the library's payload with our device name and version. The library's own settings are variables of
// the whole process (store.DeviceProps, store.SetWAVersion).
func clientPayload(dev *store.Device, deviceName string, v store.WAVersionContainer) func() *waWa6.ClientPayload {
	return func() *waWa6.ClientPayload {
		p := dev.GetClientPayload()
		p.UserAgent.AppVersion = v.ProtoAppVersion()
		reg := p.GetDevicePairingData()
		if reg == nil {
			return p
		}
		hash := v.Hash()
		reg.BuildHash = hash[:]
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

// onScan is called before the library stores a pairing. The session stores the JID first, so that a crash in between
// leaves no keys without a session. A session or an unlinked device that had the JID before loses it: WhatsApp
// reuses the device numbers of unlinked devices. Two sessions may belong to one phone as two devices.
func (c *connection) onScan(jid types.JID, _, _ string) bool {
	e := c.session.engine
	e.unlinkOthers(jid.String(), c.session)
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := e.db.deleteDevice(ctx, jid.String()); err != nil {
		c.session.log().Error("cannot delete the old device", "error", redact.Foreign(err.Error()))
		c.report(rejected{why: storageReason(err), unlinked: true})
		return false
	}
	return c.report(scanned{jid: jid.String()})
}

// unlinkOthers unlinks every other session that has the JID of a new device.
func (e *Engine) unlinkOthers(jid string, except *engineSession) {
	for _, s := range e.all() {
		if s != except && s.view().link.JID == jid {
			why := newReason(diagnosis.LoggedOut, "WhatsApp has assigned this session's device to another session.")
			s.apply(nil, rejected{why: why, unlinked: true})
		}
	}
}

// translateEvent translates an event of the library; nil for messages, receipts and everything else that does not
// concern the connection.
func translateEvent(raw any) event {
	switch e := raw.(type) {
	case *events.QR:
		return codesReceived{codes: toSecrets(e.Codes)}
	case *events.PairSuccess:
		return paired{}
	case *events.ManualLoginReconnect:
		return restart{}
	case *events.Connected:
		return loggedIn{}
	case *events.KeepAliveTimeout:
		return keepAliveMissed{count: e.ErrorCount}
	case *events.Disconnected:
		return lost{why: newReason(diagnosis.WhatsAppUnavailable, "WhatsApp closed the connection.")}
	}
	return translateEnd(raw)
}

// translateEnd translates the events that end a connection.
func translateEnd(raw any) event {
	switch e := raw.(type) {
	case *events.LoggedOut:
		return translateLogout(e)
	case *events.StreamReplaced:
		return rejected{why: newReason(diagnosis.SessionConflict, "Another process took over this session's connection.")}
	case *events.ClientOutdated:
		return rejected{why: reasonOutdated}
	case *events.TemporaryBan:
		return rejected{why: newReason(diagnosis.AccountBanned, "WhatsApp has banned this account temporarily.")}
	case *events.ConnectFailure:
		return rejected{why: failureReason(e.Reason), retryable: true}
	case *events.StreamError:
		return lost{why: newReason(diagnosis.WhatsAppUnavailable, "WhatsApp ended the connection with an error.")}
	case *events.PairError:
		why := newReason(diagnosis.PairingFailed, "A phone scanned the code, but the pairing could not be verified.")
		if stored, ok := errors.AsType[*whatsmeow.PairDatabaseError](e.Error); ok {
			why = storageReason(stored)
		}
		return rejected{unlinked: true, why: why}
	case *events.PairPasskeyRequest:
		return passkeyRequested{options: marshalOptions(e)}
	case *events.PairPasskeyError:
		return rejected{unlinked: true,
			why: newReason(diagnosis.PasskeyRequired, "WhatsApp requires a passkey, and its request failed.")}
	}
	return nil
}

// translateLogout: whatsmeow has deleted the device already. WhatsApp's own page treats 406 as a ban
// (events.ConnectFailureUnknownLogout).
func translateLogout(e *events.LoggedOut) event {
	why := newReason(diagnosis.LoggedOut, "The phone or WhatsApp has unlinked this device.")
	if e.OnConnect && e.Reason == events.ConnectFailureUnknownLogout {
		why = newReason(diagnosis.AccountBanned, "WhatsApp refuses this account.")
	}
	return rejected{why: why, unlinked: true}
}

func failureReason(code events.ConnectFailureReason) reason {
	switch {
	case code == events.ConnectFailureBadUserAgent || code == events.ConnectFailureClientUnknown:
		return newReason(diagnosis.ClientOutdated, "WhatsApp does not know this kind of client; update qrgate.")
	case code >= events.ConnectFailureInternalServerError:
		return newReason(diagnosis.WhatsAppUnavailable, "WhatsApp reports a failure of its own.")
	}
	return newReason(diagnosis.Internal, "WhatsApp refuses the connection for an unknown reason.")
}

func toSecrets(codes []string) []secret.Secret {
	out := make([]secret.Secret, len(codes))
	for i, c := range codes {
		out[i] = secret.NewSecret(c)
	}
	return out
}

// libraryLog writes whatsmeow's log to slog. It discards Debug, which prints whole nodes and frames with keys,
// messages and codes (qrchan.go, "Emitting QR code"). It redacts the rest, and lowers Info to Debug, because the
// engine logs the same facts.
type libraryLog struct {
	log       *slog.Logger
	module    string
	onRefresh func() // called for a notification that this version of the library only logs; may be nil
}

var _ waLog.Logger = libraryLog{}

// Debugf implements waLog.Logger and discards the message.
func (l libraryLog) Debugf(format string, args ...any) {
	isUnhandled := format == "Unhandled notification with type %s" && len(args) == 1
	if l.onRefresh != nil && isUnhandled && args[0] == "companion_reg_refresh" {
		l.onRefresh()
	}
}

// Infof implements waLog.Logger.
func (l libraryLog) Infof(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

// Warnf implements waLog.Logger.
func (l libraryLog) Warnf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }

// Errorf implements waLog.Logger. The socket logs every normal end of a connection as an error.
func (l libraryLog) Errorf(format string, args ...any) {
	level := slog.LevelError
	if strings.HasSuffix(l.module, "Socket") {
		level = slog.LevelDebug
	}
	l.write(level, format, args)
}

// Sub implements waLog.Logger.
func (l libraryLog) Sub(module string) waLog.Logger {
	if l.module != "" {
		module = l.module + "/" + module
	}
	l.module = module
	return l
}

func (l libraryLog) write(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		text := redact.Foreign(fmt.Sprintf(format, args...))
		l.log.Log(ctx, level, text, "library", "whatsmeow", "module", l.module)
	}
}
