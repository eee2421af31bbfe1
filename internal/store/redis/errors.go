package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"qrgate/internal/store"
)

// errProtocol says that an answer has not the shape of an answer to what was asked.
var errProtocol = errors.New("the answer does not fit the question")

// translate puts the error of an operation into the house's words. The library's text never gets out: it
// may quote addresses, commands with their arguments, or whatever the server sent.
//
// A caller who went away is not a store that is down, and gets context.Canceled alone.
func translate(ctx context.Context, op string, err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrVersionConflict):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %s: %w", store.ErrStoreUnavailable, op, context.DeadlineExceeded)
	default:
		return fmt.Errorf("%w: %s: %s", store.ErrStoreUnavailable, op, reason(err))
	}
}

// reason says in fixed words why an operation failed.
func reason(err error) string {
	var network net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var server redis.Error
	switch {
	case errors.Is(err, errProtocol), errors.Is(err, redis.Nil):
		return errProtocol.Error()
	case errors.As(err, &certificate):
		return "its certificate is not trusted"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, redis.ErrClosed):
		return "this store was closed"
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return "all connections are busy"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection lost"
	case errors.As(err, &server):
		return "the server refused: " + code(server.Error())
	default:
		return "connection failed"
	}
}

// code is the first word of a server's error if it is one of Redis's own. The rest of the line may quote
// keys and arguments, and a server that is out of step may put anything there.
func code(text string) string {
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "NOAUTH", "WRONGPASS", "NOPERM", "LOADING", "OOM", "READONLY", "MISCONF", "BUSY", "MASTERDOWN",
		"CLUSTERDOWN", "MOVED", "CROSSSLOT", "WRONGTYPE", "NOREPLICAS", "NOSCRIPT":
		return word
	default:
		return "ERR"
	}
}
