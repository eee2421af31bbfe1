package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	waLog "go.mau.fi/whatsmeow/util/log"
)

// libraryLog hands the library's words to slog. Its Debug is dropped altogether: it prints whole nodes and
// frames, refs, keys and messages among them, and codes in clear (qrchan.go, "Emitting QR code"). The rest
// is scrubbed, and its Info becomes Debug: it says what the engine says better.
type libraryLog struct {
	log    *slog.Logger
	module string
}

var _ waLog.Logger = libraryLog{}

// Debugf implements waLog.Logger by saying nothing.
func (l libraryLog) Debugf(string, ...any) {}

// Infof implements waLog.Logger.
func (l libraryLog) Infof(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

// Warnf implements waLog.Logger.
func (l libraryLog) Warnf(format string, args ...any) { l.say(slog.LevelWarn, format, args) }

// Errorf implements waLog.Logger.
func (l libraryLog) Errorf(format string, args ...any) { l.say(l.error(), format, args) }

// error is the level of an error: one of the socket is what the end of a line looks like from within.
func (l libraryLog) error() slog.Level {
	if strings.HasSuffix(l.module, "Socket") {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// Sub implements waLog.Logger.
func (l libraryLog) Sub(module string) waLog.Logger {
	if l.module != "" {
		module = l.module + "/" + module
	}
	return libraryLog{log: l.log, module: module}
}

func (l libraryLog) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, scrub(fmt.Sprintf(format, args...)), "library", "whatsmeow", "module", l.module)
	}
}
