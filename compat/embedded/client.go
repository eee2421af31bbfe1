package embedded

import (
	"context"

	"go.mau.fi/whatsmeow"

	"qrgate/internal/diagnosis"
)

// newClient makes a client for the device of this line.
func (l *connection) newClient(ctx context.Context) (*whatsmeow.Client, error) {
	e := l.session.engine
	dev, err := e.db.device(ctx, l.jid)
	if err != nil {
		return nil, rejectedError{why: newReason(diagnosis.Internal, "The keys of the device could not be read."), retryable: true}
	}
	if dev == nil {
		return nil, rejectedError{why: newReason(diagnosis.LoggedOut, "The keys of the linked device are gone."), unlinked: true}
	}
	cli := whatsmeow.NewClient(dev, e.library)
	cli.SetPreLoginHTTPClient(e.http)
	cli.SetWebsocketHTTPClient(e.http)
	cli.SetMediaHTTPClient(e.http)
	cli.EnableAutoReconnect = false      // see the package's comment
	cli.DisableLoginAutoReconnect = true // likewise
	cli.ManualHistorySyncDownload = true // nobody here reads the history
	cli.GetClientPayload = payload(dev)
	cli.AddEventHandler(func(raw any) {
		if h := translateEvent(raw); h != nil {
			l.report(h)
		}
	})
	cli.PrePairCallback = l.scanned
	return cli, nil
}
