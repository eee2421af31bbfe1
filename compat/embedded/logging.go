package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/internal/redact"
)

// libraryLog writes whatsmeow's log to slog. It discards Debug, which prints whole nodes and frames with keys,
// messages and codes (qrchan.go, "Emitting QR code"). It redacts the rest, and lowers Info to Debug, because the
// engine logs the same facts.
type libraryLog struct {
	log    *slog.Logger
	module string
}

var _ waLog.Logger = libraryLog{}

// Debugf implements waLog.Logger and discards the message.
func (l libraryLog) Debugf(string, ...any) {}

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
	return libraryLog{log: l.log, module: module}
}

func (l libraryLog) write(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		text := redact.Foreign(fmt.Sprintf(format, args...))
		l.log.Log(ctx, level, text, "library", "whatsmeow", "module", l.module)
	}
}
