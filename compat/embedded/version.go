package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"

	"qrgate/internal/redact"
)

const (
	lookupTimeout  = 10 * time.Second
	lookupInterval = time.Hour // between two lookups of WhatsApp's version
)

// VersionMaxAge is the age from which WhatsApp may refuse a version soon: versions were refused after 60 to 105 days.
const VersionMaxAge = 60 * 24 * time.Hour

// ParseVersion checks a version of WhatsApp's web client, such as 2.3000.1045649367.
func ParseVersion(text string) error {
	if v, err := store.ParseVersion(text); err != nil || v.IsZero() {
		return errors.New("must be three numbers, such as " + store.GetWAVersion().String())
	}
	return nil
}

// LibraryVersion returns the version of WhatsApp's web client that this build presents, and the date of the library
// that chose it; the date is zero if the build does not contain it.
func LibraryVersion() (version string, date time.Time) {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if parts := strings.Split(m.Version, "-"); m.Path == "go.mau.fi/whatsmeow" && len(parts) == 3 {
			date, _ = time.Parse("20060102150405", parts[1])
		}
	}
	return store.GetWAVersion().String(), date
}

// DescribeVersion is the version that this build presents to WhatsApp and its age at now, for operators. isOld reports
// that WhatsApp may refuse it soon.
func DescribeVersion(now time.Time) (text string, isOld bool) {
	version, date := LibraryVersion()
	return describeVersion(version, date, now)
}

func describeVersion(version string, date, now time.Time) (text string, isOld bool) {
	if date.IsZero() {
		return version, false
	}
	text = fmt.Sprintf("%s, %d days old", version, int(now.Sub(date)/(24*time.Hour)))
	if isOld = now.Sub(date) >= VersionMaxAge; isOld {
		text += "; WhatsApp may refuse it soon: update qrgate"
	}
	return text, isOld
}

// waVersion is the version that clients present. The library's own setting is a variable of the whole process.
type waVersion struct {
	http *http.Client
	log  *slog.Logger

	mu         sync.Mutex
	current    store.WAVersionContainer
	lookedUpAt time.Time
}

// newWAVersion starts with a version that ParseVersion accepts, or with the library's.
func newWAVersion(text string, c *http.Client, log *slog.Logger) *waVersion {
	v := &waVersion{http: c, log: log, current: store.GetWAVersion()}
	if parsed, err := store.ParseVersion(text); err == nil {
		v.current = parsed
	}
	return v
}

func (v *waVersion) get() store.WAVersionContainer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.current
}

// hasNewer reports whether a newer version than a refused one is known. It looks up WhatsApp's own at most once per
// lookupInterval.
func (v *waVersion) hasNewer(ctx context.Context, refused store.WAVersionContainer) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if refused.LessThan(v.current) {
		return true
	}
	if time.Since(v.lookedUpAt) < lookupInterval {
		return false
	}
	v.lookedUpAt = time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	latest, err := whatsmeow.GetLatestVersion(ctx, v.http)
	if err != nil {
		v.log.Warn("cannot look up WhatsApp's version", "error", redact.Foreign(err.Error()))
		return false
	}
	if !v.current.LessThan(*latest) {
		return false
	}
	v.log.Info("WhatsApp refused the version, using a newer one",
		"refused", v.current.String(), "version", latest.String())
	v.current = *latest
	return true
}
