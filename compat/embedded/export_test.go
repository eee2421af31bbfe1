package embedded

// SetLimits replaces the limits of an engine that does not run yet; zero keeps the default.
func (e *Engine) SetLimits(sessions, dials int) {
	if sessions > 0 {
		e.maxSessions = sessions
	}
	if dials > 0 {
		e.dialSlots = make(chan struct{}, dials)
	}
}
