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

// errProtocol means that a reply does not have the form of a reply to its command.
var errProtocol = errors.New("the reply does not match the command")

// translate replaces the library's error, which may quote addresses, commands with their arguments, or text of the
// server.
//
// A caller that has cancelled gets context.Canceled; the store is not unavailable then.
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

// reason is why an operation failed, as a fixed text.
func reason(err error) string {
	var network net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var server redis.Error
	switch {
	case errors.Is(err, errProtocol), errors.Is(err, redis.Nil):
		return errProtocol.Error()
	case errors.Is(err, errSentinel), errors.Is(err, errNoMaster):
		return err.Error()
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
		return "the server refused: " + refusal(server.Error())
	}
	return textOfOthers(err.Error())
}

// textOfOthers is the reason for errors that only their text tells apart.
func textOfOthers(text string) string {
	switch {
	case strings.Contains(text, "tls: certificate required"), strings.Contains(text, "tls: bad certificate"):
		return "it requires a client certificate"
	case strings.Contains(text, "all sentinels specified"):
		return "no Sentinel responds"
	}
	return "connection failed"
}

// advice is what to do about a refusal, by the first word of the server's error.
var advice = map[string]string{
	"NOAUTH":      "set a password",
	"WRONGPASS":   "correct user and password",
	"NOPERM":      "the user needs the documented permissions",
	"READONLY":    "it is a replica; use the master, or redis+sentinel://",
	"MOVED":       "it is a node of a cluster; use redis+cluster://",
	"CROSSSLOT":   "it is a node of a cluster; use redis+cluster://",
	"LOADING":     "it is starting",
	"OOM":         "it has no memory left",
	"MISCONF":     "it cannot save to its disk",
	"BUSY":        "a script blocks it",
	"MASTERDOWN":  "its master is down",
	"CLUSTERDOWN": "slots of the cluster are not served",
	"NOREPLICAS":  "it has too few replicas",
	"WRONGTYPE":   "another program uses qrgate's keys",
	"NOSCRIPT":    "it loses scripts",
}

// refusal explains a server's error. It passes on only Redis's own codes: the rest of the line may quote keys and
// arguments.
func refusal(text string) string {
	word, _, _ := strings.Cut(text, " ")
	switch {
	case advice[word] != "":
		return word + ": " + advice[word]
	case isUnknownCommand(text) && strings.Contains(strings.ToLower(text), "sentinel"):
		return "SENTINEL: it is not a Sentinel; use redis://"
	case isUnknownCommand(text):
		return "EVAL: it does not run scripts"
	case strings.Contains(text, "can't publish"):
		return "NOPERM: " + advice["NOPERM"]
	case strings.Contains(text, "cluster support disabled"):
		return "CLUSTER: it is not a cluster; use redis://"
	}
	return "ERR"
}

func isUnknownCommand(text string) bool { return strings.HasPrefix(text, "ERR unknown command") }

// Errors of servers that are of another kind than the URL says.
var (
	errSentinel = errors.New("it is a Sentinel; use redis+sentinel://host/MASTER/0")
	errNoMaster = errors.New("the Sentinels know no such master; correct MASTER in redis+sentinel://host/MASTER/0")
)

// identify replaces an error that comes from a server of another kind than the URL says.
func (s *Store) identify(ctx context.Context, err error) error {
	if s.topology == sentinel && errors.Is(err, redis.Nil) {
		return errNoMaster
	}
	server, ok := errors.AsType[redis.Error](err)
	if !ok || s.topology != single || !isUnknownCommand(server.Error()) {
		return err
	}
	if role, _ := s.client.Do(ctx, "ROLE").Slice(); len(role) > 0 && role[0] == "sentinel" {
		return errSentinel
	}
	return err
}
