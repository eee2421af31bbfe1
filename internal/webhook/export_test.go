package webhook

import "context"

// IsPublic is isPublic.
var IsPublic = isPublic

// SendOnce makes one attempt over the network.
func (t *Target) SendOnce(ctx context.Context, allowPrivate bool, e Event) error {
	client := newClient(allowPrivate)
	defer client.CloseIdleConnections()
	return t.send(ctx, client, e)
}
