package probes

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// createDelete makes a session and deletes it. Here the deletion is part of what is asked.
func createDelete(ctx context.Context, j *run) {
	if !j.create(ctx) {
		j.verdict(ctx)
		j.cleanup(ctx)
		return
	}
	if f := j.cleanup(ctx); f != nil {
		j.failed = f
	}
	j.verdict(ctx)
}

// create records the intent and makes the session.
func (j *run) create(ctx context.Context) bool {
	return j.step(ctx, StepCreate, callTime+intentTime, func(ctx context.Context) (string, *failure) {
		if f := j.recordIntent(ctx); f != nil {
			return "", f
		}
		j.made = possible
		a, f := j.door.ask(ctx, call{
			op: opCreate, method: http.MethodPost, path: sessionsPath,
			body: fmt.Sprintf(`{"sessionId":%q,"sessionName":"qrgate probe"}`, j.run.Session),
		})
		if f != nil {
			if f.unsent {
				j.made = refused
			}
			return "", f
		}
		return j.created(a)
	})
}

// created reads the answer of a create that succeeded. A session under another name is not ours: a probe
// that went on with it might touch somebody's.
func (j *run) created(a compat.Response) (string, *failure) {
	body, _ := compat.Parse(a.Body)
	ref := compat.RefOf(compat.SessionOf(body))
	if ref.Name != "" && ref.Name != j.run.Session {
		return "", &failure{code: diagnosis.EngineBadResponse, evidence: []string{"the create's answer names another session than the one asked for"}}
	}
	j.made, j.ref = certain, session.Ref{ID: ref.ID, Name: j.run.Session}
	return "", nil
}

// Bounds of the cleanup.
const (
	cleanupTime  = 5 * time.Second
	deletionTime = 4 * time.Second // of one try; an engine that closes a connection first takes seconds
	intentTime   = 2 * time.Second
	maxPages     = 5
)

// cleanup deletes the session, whatever became of the run, and crosses the intent out when it is gone. It
// has its own time and does not hear of a cancelled run.
func (j *run) cleanup(ctx context.Context) (failed *failure) {
	if j.made == nothing {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	gone := false
	j.step(ctx, StepCleanup, cleanupTime, func(ctx context.Context) (detail string, f *failure) {
		if gone, detail, failed = j.deleteSession(ctx); !gone {
			return detail, failed
		}
		if err := j.p.cfg.Intents.Done(ctx, j.run.Session); err != nil {
			return "the janitor will cross it out", nil // it is gone, and to delete it twice does no harm
		}
		return detail, nil
	})
	if !gone {
		j.deferCleanup(ctx)
	}
	return failed
}

// deleteSession deletes the session. It reports whether that is done for good.
func (j *run) deleteSession(ctx context.Context) (gone bool, detail string, failed *failure) {
	if j.made == refused {
		return true, "there was nothing to delete", nil
	}
	absent, failed := j.door.deleteWithRetry(ctx, session.Ref{ID: j.ref.ID, Name: j.run.Session})
	switch {
	case failed != nil:
		return false, "", failed
	case absent && j.made == possible:
		return false, "not there yet; the janitor looks again", nil // the create may still be on its way
	case absent:
		return true, "it was gone already", nil
	}
	return true, "", nil
}

// deferCleanup says that the run is over and the session is not gone: whoever comes next need not wait until the
// run must have ended.
func (j *run) deferCleanup(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, intentTime)
	defer cancel()
	j.intent.Until = time.Now()
	_ = j.p.cfg.Intents.Record(ctx, j.intent) // else it is due a little later, as recorded
}

// deleteWithRetry tries to delete a session until ctx ends. It reports whether it was not there.
func (d client) deleteWithRetry(ctx context.Context, r session.Ref) (absent bool, f *failure) {
	for pause := 250 * time.Millisecond; ; pause *= 2 {
		try, cancel := context.WithTimeout(ctx, deletionTime)
		absent, f = d.deleteOnce(try, r)
		cancel()
		if f == nil || f.code == diagnosis.KeyRefused {
			return absent, f
		}
		if !wait(ctx, max(pause, f.pause)) {
			return false, f
		}
	}
}

// deleteOnce deletes a session once. One that is not there under its name is looked for in the list, because
// some engines take only the integer (contract C9).
func (d client) deleteOnce(ctx context.Context, r session.Ref) (absent bool, f *failure) {
	_, f = d.ask(ctx, onSession(opDelete, http.MethodDelete, r, ""))
	if f == nil || !f.notFound {
		return false, f
	}
	if r.ID > 0 {
		return true, nil
	}
	found, f := d.findID(ctx, r.Name)
	if f != nil || found.ID == 0 {
		return f == nil, f
	}
	_, f = d.ask(ctx, onSession(opDelete, http.MethodDelete, found, ""))
	if f != nil && f.notFound {
		return true, nil
	}
	return false, f
}

func listPage(n int) call {
	return call{
		op: session.OpList, method: http.MethodGet, label: sessionsPath,
		path: sessionsPath + "?page=" + strconv.Itoa(n) + "&limit=" + strconv.Itoa(compat.MaxPageSize),
	}
}

// wait waits, and reports false when ctx ends before. It does not begin to wait for what ctx will not see.
func wait(ctx context.Context, d time.Duration) bool {
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
