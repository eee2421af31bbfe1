package house_test

import (
	"go/ast"
	"strings"
	"testing"
)

func TestNobodySleeps(t *testing.T) {
	t.Parallel()
	rooms := map[string][]source{}
	for _, s := range sources(t) {
		rooms[s.room()] = append(rooms[s.room()], s)
	}
	var found []finding
	for _, room := range rooms {
		found = append(found, sleeps(room)...)
	}
	judge(t, "sleeps", "A sleep that waits for something else is a race that is usually won. Wait for the thing itself, "+
		"or test in a synctest bubble, where sleeping is exact and free.", found)
}

// habit is what a function does that matters here. Functions are told apart by name alone.
type habit struct {
	f       *ast.FuncDecl
	s       source
	asleep  int  // the line of its time.Sleep
	bubble  bool // it runs in a bubble, for all that can be seen
	starts  bool // it makes the bubble itself
	calls   map[string]bool
	callers []string
}

// sleeps finds time.Sleep in one room's files, outside of bubbles.
func sleeps(room []source) []finding {
	all := habits(room)
	spread(all)
	var out []finding
	for _, h := range all {
		if h.asleep > 0 && !(h.bubble && h.s.test()) {
			out = append(out, finding{h.s.path, nameOf(h.f) + " sleeps", h.asleep})
		}
	}
	return out
}

func habits(room []source) map[string]*habit {
	all := map[string]*habit{}
	for _, s := range room {
		for _, f := range functions(s) {
			h := habitOf(s, f)
			if old := all[f.Name.Name]; old != nil && old.asleep > 0 {
				h.asleep, h.s, h.f = max(h.asleep, old.asleep), old.s, old.f
			}
			all[f.Name.Name] = h
		}
	}
	for name, h := range all {
		for callee := range h.calls {
			if c := all[callee]; c != nil {
				c.callers = append(c.callers, name)
			}
		}
	}
	return all
}

func habitOf(s source, f *ast.FuncDecl) *habit {
	h := &habit{f: f, s: s, calls: map[string]bool{}}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			h.bubble = h.bubble || s.test() && isName(n.X, "synctest")
			if isName(n.X, "time") && n.Sel.Name == "Sleep" {
				h.asleep = s.line(n)
			}
			h.starts = h.starts || s.test() && isName(n.X, "synctest") && n.Sel.Name == "Test"
		case *ast.CallExpr:
			switch callee := n.Fun.(type) {
			case *ast.Ident:
				h.calls[callee.Name] = true
			case *ast.SelectorExpr:
				h.calls[callee.Sel.Name] = true
			}
		}
		return true
	})
	return h
}

// spread carries the bubble to the helpers and tests that call a function which makes one, and to the
// helpers that nobody calls from outside of one.
func spread(all map[string]*habit) {
	for changed := true; changed; {
		changed = false
		for name, h := range all {
			if h.bubble || !h.s.test() {
				continue
			}
			h.bubble = h.inside(all)
			h.starts = h.bubble && !strings.HasPrefix(name, "Test")
			changed = changed || h.bubble
		}
	}
}

func (h *habit) inside(all map[string]*habit) bool {
	for callee := range h.calls {
		if c := all[callee]; c != nil && c != h && c.starts {
			return true
		}
	}
	for _, caller := range h.callers {
		if !all[caller].bubble {
			return false
		}
	}
	return len(h.callers) > 0
}
