package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// environment is a list of variables, as [os.Environ] returns it. Settings come from it instead of from the process's,
// so that tests can run in parallel.
type environment []string

func (e environment) get(name string) (value string, isSet bool) {
	for _, entry := range e {
		if value, isSet = strings.CutPrefix(entry, name+"="); isSet {
			return value, true
		}
	}
	return "", false
}

// unset removes the settings from the process's environment, where kong would read them, too. Variables that are no
// settings stay for those who read them.
func (e environment) unset() {
	for _, entry := range e {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "QRGATE_") && !slices.Contains(otherVariables, name) {
			_ = os.Unsetenv(name)
		}
	}
}

// hasFile reports whether NAME_FILE is set.
func (e environment) hasFile(name string) bool {
	path, _ := e.get(name + "_FILE")
	return path != ""
}

// setting reads a variable, or the file that NAME_FILE names, as containers mount secrets. An empty value is none.
func (e environment) setting(name string) (string, error) {
	value, _ := e.get(name)
	value = strings.TrimSpace(value)
	path, _ := e.get(name + "_FILE")
	switch {
	case path == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %[1]s_FILE are both set: unset one of them", name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: cannot read its value; correct the path or its permissions: %w", name, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// resolve is a [kong.ResolverFunc].
func (e environment) resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if value, err := e.setting(name); err != nil || value != "" {
			return value, err
		}
	}
	return nil, nil
}

// withVariable puts the variable's name before an error about a flag: most operators set the variable.
func withVariable(err error, n *kong.Node) string {
	text := err.Error()
	if strings.Contains(text, "expected duration") {
		text += "; write it as 4.5s or 5m"
	}
	for _, f := range n.Flags {
		if strings.HasPrefix(text, "--"+f.Name) && len(f.Envs) > 0 {
			return f.Envs[0] + ": " + text
		}
	}
	return text
}

// variables lists every variable that a command reads.
func variables(n *kong.Node) []string {
	var out []string
	for _, f := range n.Flags {
		out = append(out, f.Envs...)
	}
	for _, c := range n.Children {
		out = append(out, variables(c)...)
	}
	return out
}

// otherVariables are read by tests, and by binaries built for the simulated WhatsApp.
var otherVariables = []string{
	"QRGATE_REQUIRE_ALL", "QRGATE_TEST_DATABASE_URL", "QRGATE_WHATSAPPSIM_ROOT", "QRGATE_WHATSAPPSIM_ADDR",
}

// check refuses unknown variables that begin with QRGATE_, because a misspelt setting must not be ignored silently,
// values in quotes, and an empty engine URL, which is more likely a mistake of a template than a choice of the embedded
// engine.
func (e environment) check(known []string) error {
	var errs []error
	if value, isSet := e.get("QRGATE_ENGINE_URL"); isSet && value == "" && !e.hasFile("QRGATE_ENGINE_URL") {
		errs = append(errs, errors.New("QRGATE_ENGINE_URL is empty: "+
			"set it to the engine's address, or unset it to use the embedded engine"))
	}
	for _, entry := range e {
		name, value, _ := strings.Cut(entry, "=")
		isKnown := slices.Contains(known, name) || slices.Contains(known, strings.TrimSuffix(name, "_FILE")) ||
			slices.Contains(otherVariables, name)
		if strings.HasPrefix(name, "QRGATE_") && !isKnown {
			errs = append(errs, fmt.Errorf("unknown setting %s%s; see qrgate --help", name, suggest(name, known)))
		}
		value = strings.TrimSpace(value)
		if isKnown && len(value) > 1 && value[0] == value[len(value)-1] && strings.ContainsAny(value[:1], `"'`) {
			errs = append(errs, fmt.Errorf("%s is in quotes, which docker --env-file passes on: remove them", name))
		}
	}
	return errors.Join(errs...)
}

// usualNames are names that other programs give to a setting.
var usualNames = map[string]string{
	"PORT": "LISTEN", "HOST": "LISTEN", "ADDR": "LISTEN", "ADDRESS": "LISTEN", "BIND": "LISTEN", "HTTP_PORT": "LISTEN",
	"ADMIN_PORT": "ADMIN_LISTEN", "METRICS_PORT": "ADMIN_LISTEN", "METRICS_LISTEN": "ADMIN_LISTEN",
	"URL": "ENGINE_URL", "UPSTREAM": "ENGINE_URL", "UPSTREAM_URL": "ENGINE_URL", "BACKEND_URL": "ENGINE_URL",
	"API_KEY": "API_KEYS", "KEY": "API_KEYS", "KEYS": "API_KEYS", "PROBE_KEY": "PROBE_API_KEY",
	"DB_URL": "DATABASE_URL", "POSTGRES_URL": "DATABASE_URL", "DEBUG": "LOG_LEVEL", "LEVEL": "LOG_LEVEL",
}

// suggest names the setting that an unknown name probably means; empty if there is none.
func suggest(unknown string, known []string) string {
	best, most := "", len(unknown)-3 // so many characters may differ
	if usual := usualNames[strings.TrimPrefix(unknown, "QRGATE_")]; usual != "" {
		return " (did you mean QRGATE_" + usual + "?)"
	}
	for _, name := range known {
		score, shorter := 0, min(len(name), len(unknown))
		for score < shorter && name[score] == unknown[score] {
			score++
		}
		for i := 1; i <= shorter-score && name[len(name)-i] == unknown[len(unknown)-i]; i++ {
			score++
		}
		if score > most {
			best, most = " (did you mean "+name+"?)", score
		}
	}
	return best
}

// warnings describes what is set and has no effect.
func (e environment) warnings(s settings, known []string) []string {
	hasEngine, noAdmin := !s.hasEmbedded(), s.AdminListen == "off"
	embeddedOnly := "QRGATE_ENGINE_URL is set, and this configures the embedded engine"
	if s.Engines != "" {
		embeddedOnly = "QRGATE_ENGINES is set, and this configures the embedded engine"
	}
	const (
		adminOnly = "QRGATE_ADMIN_LISTEN is off"
		redisOnly = "QRGATE_REDIS_URL is not set"
	)
	var out []string
	for _, rule := range []struct {
		name, reason string
		applies      bool
	}{
		{"QRGATE_API_KEYS", embeddedOnly, hasEngine && s.APIKeys != ""},
		{"QRGATE_DATABASE_URL", embeddedOnly, hasEngine && s.DatabaseURL != ""},
		{"QRGATE_MAX_SESSIONS", embeddedOnly, hasEngine && s.MaxSessions != 500},
		{"QRGATE_MAX_DIALS", embeddedOnly, hasEngine && s.MaxDials != 20},
		{"QRGATE_MAX_LOGINS", embeddedOnly, hasEngine && s.MaxLogins != 8},
		{"QRGATE_DEVICE_NAME", embeddedOnly, hasEngine && s.DeviceName != "qrgate"},
		{"QRGATE_WA_VERSION", embeddedOnly, hasEngine && s.WAVersion != ""},
		{"QRGATE_WEBHOOK_SECRET", "QRGATE_WEBHOOK_URL is not set", s.WebhookURL == "" && s.WebhookSecret != ""},
		{"QRGATE_REDIS_PASSWORD", redisOnly, s.RedisURL == "" && s.RedisPassword != ""},
		{"QRGATE_REDIS_CA", redisOnly, s.RedisURL == "" && s.RedisCA != ""},
		{"QRGATE_REDIS_CERT", redisOnly, s.RedisURL == "" && s.RedisCert != ""},
		{"QRGATE_REDIS_KEY", redisOnly, s.RedisURL == "" && s.RedisKey != ""},
		{"QRGATE_PPROF", adminOnly, noAdmin && s.PProf},
		{"QRGATE_ADMIN_HOSTS", adminOnly, noAdmin && s.AdminHosts != ""},
		{"QRGATE_PROBE_INTERVAL", "QRGATE_PROBE_API_KEY is not set",
			s.ProbeAPIKey == "" && s.ProbeInterval != 300*time.Second},
	} {
		if rule.applies {
			out = append(out, rule.name+" has no effect: "+rule.reason)
		}
	}
	for _, name := range known {
		short := strings.TrimPrefix(name, "QRGATE_")
		_, isSet := e.get(name)
		if value, _ := e.get(short); value != "" && !isSet && !e.hasFile(name) {
			out = append(out, short+" has no effect: the setting is "+name)
		}
	}
	return out
}
