package statuspage

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

//go:embed assets
var assets embed.FS

// pages renders what is embedded. Templates are parsed once, at the first page.
type pages struct {
	parsed func() (*template.Template, error)
}

func newPages() pages {
	return pages{sync.OnceValues(func() (*template.Template, error) {
		return template.New("").Funcs(template.FuncMap{
			"ago": ago, "clock": clock, "stamp": stamp, "took": func(s float64) string { return short(length(s)) },
			"runs": runStrip, "journeys": journeyStrip, "count": count, "word": word, "runbook": runbook, "title": titleOf, "plain": plain,
			"pair": func(at, now time.Time) when { return when{at, now} }, "pair2": func(a any, now time.Time) at { return at{a, now} },
			"less": func(a, b int) int { return a - b },
		}).ParseFS(assets, "assets/*.html")
	})}
}

// write renders a page whole before the first byte goes out, so that none is ever cut.
func (p pages) write(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	t, err := p.parsed()
	if err == nil {
		err = t.ExecuteTemplate(&b, name, data)
	}
	if err != nil {
		http.Error(w, "the page could not be made; /status?format=json has the same data", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func (p pages) file(w http.ResponseWriter, name, kind string) {
	body, err := fs.ReadFile(assets, "assets/"+name)
	if err != nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body)
}

// when is a time and the moment of the page, for the templates.
type when struct{ At, Now time.Time }

// at is anything and the moment of the page.
type at struct {
	A   any
	Now time.Time
}

// overview is what page.html shows.
type overview struct{ Snapshot }

// byOrigin are the same things, of clients and of probes.
type byOrigin[T any] struct{ Clients, Probes []T }

func halved[T any](all []T, origin func(T) session.TrafficClass) byOrigin[T] {
	var h byOrigin[T]
	for _, v := range all {
		if origin(v) == session.SyntheticTraffic {
			h.Probes = append(h.Probes, v)
		} else {
			h.Clients = append(h.Clients, v)
		}
	}
	return h
}

// Acquisitions are the journeys. Probes walk often; where they are shown among clients, there is no room for those.
func (o overview) Acquisitions() byOrigin[Journey] {
	return halved(o.Journeys, func(j Journey) session.TrafficClass { return j.Origin })
}

// Moves are the changes.
func (o overview) Moves() byOrigin[Change] {
	return halved(o.Changes, func(c Change) session.TrafficClass { return c.Origin })
}

// Total is how many sessions of clients are at work.
func (o overview) Total() int {
	n := 0
	for _, k := range o.Sessions {
		n += k
	}
	return n
}

// part is a piece of a bar, with its share in per cent.
type part struct {
	Name, Word string
	Count      int
	X, Width   string
}

// Parts are the states that have sessions, side by side.
func (o overview) Parts() []part {
	var out []part
	at, total := 0.0, float64(max(o.Total(), 1))
	for _, state := range session.States() {
		n := o.Sessions[state]
		if n == 0 {
			continue
		}
		share := 100 * float64(n) / total
		out = append(out, part{string(state), word(string(state)), n, percent(at), percent(share)})
		at += share
	}
	return out
}

// Answers are the classes of the engine's last answers, the most frequent first.
func (o overview) Answers() []part {
	var out []part
	for name, n := range o.Engine.Answers {
		out = append(out, part{Name: name, Word: word(name), Count: n})
	}
	slices.SortFunc(out, func(a, b part) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return out
}

// Unreachable reports whether an embedded engine has no way to WhatsApp.
func (o overview) Unreachable() bool { return len(whatsAppUnreachable(o.Snapshot)) > 0 }

// Full is the part of the waiters' limit that is taken.
func (o overview) Full() string {
	if o.Waiters.Limit <= 0 {
		return "0%"
	}
	return percent(min(100, 100*float64(o.Waiters.Held)/float64(o.Waiters.Limit)))
}

// Uptime is how long the gate has been running.
func (o overview) Uptime() string { return short(length(o.Build.Uptime)) }

// Failing are the probes, those that fail first.
func (o overview) Failing() []Probe {
	out := copied(o.Probes.Probes)
	slices.SortStableFunc(out, func(a, b Probe) int { return cmp.Compare(failing(b), failing(a)) })
	return out
}

func failing(p Probe) int {
	n, _ := streak(p.Runs)
	return min(n, 1)
}

// Failures are the failed runs of a probe, the newest first.
func (p Probe) Failures() []Run {
	var out []Run
	for _, r := range p.Runs {
		if r.Outcome == session.Failure {
			out = append(out, r)
		}
	}
	return out
}

// Oldest is when the oldest run of a strip began.
func (p Probe) Oldest() time.Time {
	if len(p.Runs) == 0 {
		return time.Time{}
	}
	return p.Runs[min(len(p.Runs), recentRuns)-1].Began
}

// Works reports whether the newest run that said anything succeeded.
func (p Probe) Works() bool { return p.Healthy != nil && *p.Healthy }

// Quiet reports whether nobody asks for the sessions any more.
func (c Cause) Quiet(now time.Time) bool { return now.Sub(c.Last) > atWork }

// More is how many sessions of clients are not named.
func (c Cause) More() int { return max(0, c.Sessions-c.Probes-len(c.Labels)) }

// Line is an answer in one line.
func (a Answer) Line() string { return a.line() }

// catalogue is what causes.html shows.
type catalogue struct{ Causes []diagnosis.Diagnosis }

// causes lists all causes by name.
func causes() catalogue {
	codes := diagnosis.Codes()
	slices.Sort(codes)
	var c catalogue
	for _, code := range codes {
		c.Causes = append(c.Causes, diagnosis.New(code))
	}
	return c
}

func titleOf(c diagnosis.Code) string { return diagnosis.New(c).Title }

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// plain is a text without the marks of code, which the page has no use for.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// word is a name of ours as a person reads it.
func word(name string) string { return strings.ReplaceAll(name, "_", " ") }
