package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"qrgate/internal/app"
	"qrgate/internal/fleet"
)

const (
	maxEngines = 16 // each is a label value of the metrics
	maxWeight  = 100
)

var engineName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// parseEngines reads QRGATE_ENGINES: name=kind:url, and ;weight=N after it.
func parseEngines(text string) ([]app.EngineConfig, error) {
	var engines []app.EngineConfig
	for _, part := range split(text) {
		e, err := parseEngine(part)
		if err != nil {
			return nil, err
		}
		for _, other := range engines {
			switch {
			case other.Name == e.Name:
				return nil, fmt.Errorf("names %s twice: give each engine a name of its own", e.Name)
			case other.Base != nil && e.Base != nil && *canonicalURL(other.Base) == *canonicalURL(e.Base):
				return nil, fmt.Errorf("has the same URL for %s and %s: remove one of them", other.Name, e.Name)
			case other.Dialect == nil && e.Dialect == nil && fleet.Block(other.Name) == fleet.Block(e.Name):
				return nil, fmt.Errorf("names %s and %s, which make the same integer ids: rename one of them", other.Name, e.Name)
			}
		}
		engines = append(engines, e)
	}
	switch {
	case len(engines) > maxEngines:
		return nil, fmt.Errorf("has %d engines, and at most %d are possible", len(engines), maxEngines)
	case len(engines) > 0 && !slices.ContainsFunc(engines, func(e app.EngineConfig) bool { return e.Weight > 0 }):
		return nil, errors.New("has weight 0 for every engine: give at least one a weight, or no session can be created")
	}
	return engines, nil
}

// parseEngine reads one engine. Its errors continue a sentence that begins with the name of the setting.
func parseEngine(text string) (app.EngineConfig, error) {
	const example = "write name=kind:url, as a=inboxhub:http://engine-a:8084 or b=waha:http://waha:3000;weight=0"
	name, rest, hasName := strings.Cut(text, "=")
	address, option, hasOption := strings.Cut(rest, ";")
	kind, base, _ := strings.Cut(address, ":")
	e := app.EngineConfig{Name: name, Weight: 1}
	// What does not have the form may be a URL with a password, so the error does not repeat it.
	isIncomplete := !hasName || (base == "") != (kind == embeddedKind)
	if isIncomplete || strings.HasPrefix(base, "//") || strings.Contains(name, ":") {
		return e, fmt.Errorf("has an engine that is not complete: %s", example)
	}
	if !engineName.MatchString(name) {
		return e, fmt.Errorf("has the name %q: use 1 to 32 lower-case letters, digits, _ and -", name)
	}
	for _, d := range app.Dialects() {
		if d.Kind == kind {
			e.Dialect = d
		}
	}
	switch {
	case kind == embeddedKind && name != fleet.FirstName:
		return e, fmt.Errorf("has the embedded engine with the name %s: name it %s, because its webhooks report its own "+
			"integer ids", name, fleet.FirstName)
	case e.Dialect == nil && kind != documentedKind && kind != embeddedKind:
		return e, fmt.Errorf("has the kind %q for %s: use inboxhub, evolution, gowa, waha, wuzapi or embedded", kind, name)
	}
	var err error
	if e.Base, err = parseEngineURL(base); err != nil {
		return e, fmt.Errorf("has a URL for %s that %w", name, err)
	}
	if value, ok := strings.CutPrefix(option, "weight="); hasOption {
		e.Weight, err = strconv.Atoi(value)
		if !ok || err != nil || e.Weight < 0 || e.Weight > maxWeight {
			return e, fmt.Errorf("has an option for %s that is not ;weight=N, from 0 (no new sessions) to %d", name, maxWeight)
		}
	}
	return e, nil
}

const (
	documentedKind = "inboxhub" // of an engine with the documented API
	embeddedKind   = "embedded" // of the engine in this process, which has no URL
	nativeFront    = "native"   // clients speak the engine's own API
)

// hasEmbedded reports whether the embedded engine is the only one, or one of several.
func (s settings) hasEmbedded() bool {
	return s.EngineURL+s.Engines == "" || strings.Contains(s.Engines, fleet.FirstName+"="+embeddedKind)
}

// setEngines sets the engines: several, one, or the embedded one.
func (s settings) setEngines(cfg *app.Config) error {
	var err error
	if s.Engines == "" {
		if cfg.EngineURL, err = parseEngineURL(s.EngineURL); err != nil {
			return fmt.Errorf("QRGATE_ENGINE_URL %w", err)
		}
		if cfg.EngineURL != nil && isOwnAddress(cfg.Listen, cfg.EngineURL) {
			return errors.New("QRGATE_ENGINE_URL " + ownAddress)
		}
		return s.setDialect(cfg)
	}
	if s.EngineURL != "" || s.EngineKind != documentedKind {
		return errors.New("QRGATE_ENGINES is set, and QRGATE_ENGINE_URL or QRGATE_ENGINE_KIND too: " +
			"move that engine into QRGATE_ENGINES, with the name " + fleet.FirstName + " its sessions keep their integer ids")
	}
	if cfg.Engines, err = parseEngines(s.Engines); err != nil {
		return fmt.Errorf("QRGATE_ENGINES %w", err)
	}
	if s.hasEmbedded() && s.APIKeys == "" {
		return errors.New("QRGATE_ENGINES has the embedded engine, and QRGATE_API_KEYS is not set: " +
			"set it to keys that the other engines accept too")
	}
	for _, e := range cfg.Engines {
		if e.Base != nil && isOwnAddress(cfg.Listen, e.Base) {
			return fmt.Errorf("QRGATE_ENGINES: the URL of %s %s", e.Name, ownAddress)
		}
	}
	if cfg.NativeFront = s.Front == nativeFront; cfg.NativeFront {
		return checkOneKind(cfg.Engines)
	}
	return nil
}

// checkOneKind: clients of a native front speak the API of one kind of engine.
func checkOneKind(engines []app.EngineConfig) error {
	for _, e := range engines {
		if e.Dialect == nil {
			return fmt.Errorf("QRGATE_FRONT is native, and %s in QRGATE_ENGINES has the documented API already: "+
				"leave QRGATE_FRONT out", e.Name)
		}
		if e.Dialect != engines[0].Dialect {
			return fmt.Errorf("QRGATE_FRONT is native, so clients speak one API, and QRGATE_ENGINES has %s of the kind %s and "+
				"%s of the kind %s: use engines of one kind, or leave QRGATE_FRONT out", engines[0].Name,
				engines[0].Dialect.Kind, e.Name, e.Dialect.Kind)
		}
	}
	return nil
}

const ownAddress = "is the address that qrgate itself listens on: " +
	"set it to the engine's address, or set QRGATE_LISTEN to another port"

// namedEngine is one engine as the settings of a gateway with no other.
type namedEngine struct {
	name     string
	settings settings
}

// namedEngines are the engines to check: the one with a name, or all.
func (s settings) namedEngines(name string) ([]namedEngine, error) {
	engines, err := parseEngines(s.Engines)
	if err != nil {
		return nil, fmt.Errorf("QRGATE_ENGINES %w", err)
	}
	if name == "" && (len(engines) == 0 || s.EngineURL != "") {
		return []namedEngine{{settings: s}}, nil
	}
	var all []namedEngine
	for _, e := range engines {
		one := s
		one.Engines, one.EngineURL, one.EngineKind = "", urlOf(e), documentedKind
		if e.Dialect != nil {
			one.EngineKind = e.Dialect.Kind
		}
		if name == "" || name == e.Name {
			all = append(all, namedEngine{e.Name, one})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("--engine %s is not in QRGATE_ENGINES", name)
	}
	return all, nil
}

// describeEngines names the engines for the log.
func describeEngines(cfg app.Config) string {
	var all []string
	for _, e := range cfg.Engines {
		all = append(all, e.Name+"="+cmp.Or(urlOf(e), embeddedKind))
	}
	if cfg.EngineURL != nil {
		all = append(all, cfg.EngineURL.String())
	}
	return cmp.Or(strings.Join(all, ", "), "embedded")
}

// urlOf is empty for the embedded engine.
func urlOf(e app.EngineConfig) string {
	if e.Base == nil {
		return ""
	}
	return e.Base.String()
}
