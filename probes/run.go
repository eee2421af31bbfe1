package probes

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// The probes.
const (
	EngineHealth    = "engine_health"     // the engine answers; no session
	CreateDelete    = "create_delete"     // a session can be made and deleted; no contact to WhatsApp
	CreateConnectQR = "create_connect_qr" // the whole way to a QR
)

// The steps of a run, as metrics and spans name them.
const (
	StepHealth   = "health"
	StepCreate   = "create"
	StepConnect  = "connect"
	StepQR       = "qr"
	StepValidate = "validate"
	StepCleanup  = "cleanup"
)

// Reasons why a run said nothing about its target. The first three are as it should be; the others are
// failures of the prober itself and burn nobody's error budget.
const (
	SkipOverlap     = "overlap"     // the last run has not ended
	SkipMaintenance = "maintenance" // a maintenance window
	SkipNotLeader   = "not_leader"  // another replica runs this probe

	SkipLease    = "lease_lost"      // another replica leads now; the result was dropped
	SkipShutdown = "shutdown"        // the run was cancelled before it knew
	SkipBacklog  = "cleanup_backlog" // too many sessions of earlier runs could not be deleted
	SkipInternal = "internal"        // anything else, such as a disk that takes no intent
	SkipTooShort = "too_short"       // who asked for the run gave it less time than a healthy target may take; never on schedule
)

// Result is what one run found. It is a plain value; nobody changes it after it was handed out.
type Result struct {
	ID                string               `json:"id"` // joins the logs and the spans of one run
	Probe             string               `json:"probe"`
	Target            string               `json:"target"`            // the target's name, never its key
	Session           string               `json:"session,omitempty"` // what it created, or meant to
	StartedAt         time.Time            `json:"began"`
	Seconds           float64              `json:"seconds"`           // the cleanup included
	Outcome           session.Outcome      `json:"outcome"`           // abandoned when the prober itself failed
	SkipReason        string               `json:"missed,omitempty"`  // then one of the Missed reasons
	Problem           string               `json:"problem,omitempty"` // and a sentence about it
	Diagnosis         *diagnosis.Diagnosis `json:"diagnosis"`         // of a failure; else nil
	TargetUnreachable bool                 `json:"alone,omitempty"`   // of a failure: nobody answers at the target itself
	Steps             []Step               `json:"steps"`
}

// Step is one part of a run.
type Step struct {
	Name    string          `json:"name"`
	Seconds float64         `json:"seconds"`
	Outcome session.Outcome `json:"outcome"`
	Detail  string          `json:"detail,omitempty"` // for people; holds no code and no key
}

// Code is the run's diagnosis as metrics count it: None when it succeeded or said nothing.
func (r Result) Code() diagnosis.Code {
	if r.Diagnosis == nil {
		return diagnosis.None
	}
	return r.Diagnosis.Code
}

// Healthy reports whether the run proved that its target works.
func (r Result) Healthy() bool { return r.Outcome == session.Success }

// Took is how long the run took.
func (r Result) Took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }
