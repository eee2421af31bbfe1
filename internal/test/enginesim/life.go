package enginesim

import "time"

// Close ends every answer that hangs, every websocket and every Begin, and waits for the latter. Call it last.
func (e *Engine) Close() {
	e.mu.Lock()
	if !e.isClosed() {
		close(e.doneLocked())
	}
	e.forget()
	e.mu.Unlock()
	e.beginners.Wait()
}

func (e *Engine) doneLocked() chan struct{} {
	if e.closed == nil {
		e.closed = make(chan struct{})
	}
	return e.closed
}

func (e *Engine) done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.doneLocked()
}

func (e *Engine) isClosed() bool {
	select {
	case <-e.doneLocked():
		return true
	default:
		return false
	}
}

func (e *Engine) over() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.isClosed()
}

// dieOnTime restarts the engine once when DiesAt has come.
func (e *Engine) dieOnTime() {
	if !e.died && !e.DiesAt.IsZero() && !time.Now().Before(e.DiesAt) {
		e.died = true
		e.forget()
	}
}

func (e *Engine) down() bool {
	return !e.DiesAt.IsZero() && !time.Now().Before(e.DiesAt) && time.Now().Before(e.DiesAt.Add(e.DownFor))
}
