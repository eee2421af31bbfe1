package enginesim

import "time"

// Fault is a wrong answer. The zero value is none.
type Fault struct {
	Kind FaultKind
	// First limits the fault to that many requests of its route; 0: every one.
	First int
	// Acts: the engine does what it was asked and only its answer goes wrong. Otherwise the fault
	// stands before the engine, as a proxy does. Downloads and websockets know only faults that stand
	// before, and a download also TruncatedBody.
	Acts bool
	// Pace is the time between two bytes of a [SlowBody]; 0 means 1 s.
	Pace time.Duration
}

// FaultKind names a way of answering wrongly.
type FaultKind int

// The ways of answering wrongly.
const (
	NoFault       FaultKind = iota
	HTML502                 // nginx: the engine is away
	HTML503                 // nginx: the engine is overloaded
	HTML504                 // nginx: the engine is too slow
	ServerError             // 500 INTERNAL_ERROR in the documented shape
	TooMany                 // 429 in the documented shape, whatever the limits
	Garbage                 // 200 and a JSON content type over something else
	EmptyBody               // 200, JSON, no bytes
	EndlessBody             // 200 and JSON that never ends
	GzipBomb                // 200 and 205 KB of gzip that unpack to 200 MiB, asked for or not
	HugeQR                  // 200 and a QR of 1 MB
	Redirect                // 302 to another host
	TruncatedBody           // the right answer's head and half of its body, then the end
	SlowBody                // the right answer, byte by byte
	Hang                    // nothing, until the client leaves or the engine is closed
	CutConnection           // the end of the connection instead of an answer
)

// acts reports whether the engine does its work in spite of the fault.
func (f Fault) acts() bool { return f.Acts || f.Kind == TruncatedBody || f.Kind == SlowBody }

// nextFault is the fault that the next request of the route meets.
func (e *Engine) nextFault(route Route) Fault {
	f, ok := e.Faults[route]
	if !ok {
		f = e.Faults[AnyRoute]
	}
	if f.Kind == NoFault {
		return f
	}
	if e.faulted == nil {
		e.faulted = make(map[Route]int)
	}
	if f.First > 0 && e.faulted[route] >= f.First {
		return Fault{}
	}
	e.faulted[route]++
	return f
}
