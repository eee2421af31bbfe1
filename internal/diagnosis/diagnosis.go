// Package diagnosis names the causes of a missing QR: codes, texts in English, Spanish and Portuguese, and the patterns
// that recognize an engine's error. It has no dependencies.
package diagnosis

import (
	"maps"
	"slices"
	"time"
)

// Code is the name of a cause. The list is closed: metrics, runbooks and clients depend on it.
type Code string

// The causes. None is the absence of a cause; Undetermined means that it is not known.
const (
	None                Code = "none"
	Undetermined        Code = "undetermined"
	EngineUnreachable   Code = "engine_unreachable"
	EngineTimeout       Code = "engine_timeout"
	Engine5xx           Code = "engine_5xx"
	EngineBadResponse   Code = "engine_bad_response"
	EngineRestarted     Code = "engine_restarted"
	EngineCrashLoop     Code = "engine_crash_loop"
	EngineInconsistent  Code = "engine_inconsistent"
	EngineOverloaded    Code = "engine_overloaded"
	EngineUnlicensed    Code = "engine_unlicensed"
	EngineStuck         Code = "engine_stuck"
	ConnectFailing      Code = "connect_failing"
	QRNotEmitted        Code = "qr_not_emitted"
	QRExpired           Code = "qr_expired"
	QRInvalid           Code = "qr_invalid"
	SessionStuck        Code = "session_stuck"
	SessionNotFound     Code = "session_not_found"
	SessionConflict     Code = "session_conflict"
	SessionLimit        Code = "session_limit"
	AlreadyPaired       Code = "already_paired"
	KeyRefused          Code = "key_refused"
	ClientOutdated      Code = "client_outdated"
	AccountBanned       Code = "account_banned"
	LoggedOut           Code = "logged_out"
	PairingFailed       Code = "pairing_failed"
	PasskeyRequired     Code = "passkey_required"
	ClockWrong          Code = "clock_wrong"
	DiskFull            Code = "disk_full"
	DNSFailed           Code = "dns_failed"
	NetworkBlocked      Code = "network_blocked"
	TLSIntercepted      Code = "tls_intercepted"
	ProxyRefused        Code = "proxy_refused"
	WhatsAppSilent      Code = "whatsapp_silent"
	WhatsAppUnavailable Code = "whatsapp_unavailable"
	RateLimited         Code = "rate_limited"
	RedisUnavailable    Code = "redis_unavailable"
	ClientGone          Code = "client_gone"
	Internal            Code = "internal"
)

// Actor must act.
type Actor string

// The actors.
const (
	Nobody    Actor = "nobody"    // it ends by itself
	Customer  Actor = "customer"  // the person with the phone
	Developer Actor = "developer" // the author or user of the client program
	Operator  Actor = "operator"  // the operator of the engine, the network or qrgate
)

// Part is where a cause lies.
type Part string

// The parts. NoPart: the cause does not show where it lies.
const (
	NoPart      Part = ""
	ThisMachine Part = "this machine"
	Network     Part = "its network"
	WhatsApp    Part = "WhatsApp"
	Engine      Part = "the engine"
	Account     Part = "the account"
	Caller      Part = "the caller"
)

// Part returns where the cause lies.
func (c Code) Part() Part { return catalogue[c].Part }

// Diagnosis is a cause with its evidence, ready to be shown.
type Diagnosis struct {
	Code     Code     `json:"code"`
	Title    string   `json:"title"`
	Help     string   `json:"help"`
	Who      Actor    `json:"who"`
	Evidence []string `json:"evidence"`
	// Inferred: the engine reports nothing, and qrgate's own connectivity check failed like this. A QR may come
	// nevertheless.
	Inferred bool `json:"-"`
	// Since is when its signs began.
	Since time.Time `json:"-"`
}

// Healthy reports whether there is no cause.
func (d Diagnosis) Healthy() bool { return d.Code == "" || d.Code == None }

// NeedsPerson reports whether waiting does not help: the response is 503 and states who must act.
func (d Diagnosis) NeedsPerson() bool { return catalogue[d.Code].NeedsPerson }

// New returns the catalogue's entry for a code, with the given evidence. An unknown code becomes
// Undetermined.
func New(code Code, evidence ...string) Diagnosis {
	e, ok := catalogue[code]
	if !ok {
		code, e = Undetermined, catalogue[Undetermined]
	}
	return Diagnosis{Code: code, Title: e.English.Title, Help: e.English.Help, Who: e.Who, Evidence: evidence}
}

// Codes lists every code of the catalogue except None, in no particular order.
func Codes() []Code {
	return slices.Collect(maps.Keys(catalogue))
}

// WithEvidence returns a copy of d with one more line of evidence.
func (d Diagnosis) WithEvidence(line string) Diagnosis {
	d.Evidence = append(d.Evidence[:len(d.Evidence):len(d.Evidence)], line)
	return d
}
