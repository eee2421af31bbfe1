package confusion_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
)

// fault is an injected fault and its right diagnosis.
type fault struct {
	name string
	want diagnosis.Code
	also []diagnosis.Code // also right, where a library cannot distinguish two faults
	// before are causes that may come first, because they are true then.
	before []diagnosis.Code
	// parts are where the cause lies, if that is not the part of want; more than one where the fault itself leaves it open.
	parts []diagnosis.Part
	// evidence is a part of the evidence beside the right cause, with what decided. Baileys words its errors itself.
	evidence string
	passes   bool          // qrgate recovers from it: after the diagnosis there may be none
	until    time.Duration // how long to watch; 0: 45 s

	rest     func(*restWorld) // between qrgate and an engine of the documented API
	kinds    func(*restWorld) // between qrgate and an engine of another API
	only     []string         // the kinds of engines where it can occur; nil: all
	whatsapp *whatsapp        // between an engine and WhatsApp, or at WhatsApp
}

// kind is the quality of a diagnosis.
type kind string

const (
	right        kind = "right"
	undetermined kind = "undetermined" // it names no cause, or only the missing QR
	wrong        kind = "wrong"        // a wrong cause, even for a moment
)

// result is the result of a fault at one engine.
type result struct {
	kind  kind
	said  diagnosis.Code // at the end
	after time.Duration  // from the first symptom to the right cause
	note  string         // what was wrong

	lacks    string         // what the evidence of the right diagnosis lacks
	evidence string         // in its place
	partKind kind           // of the part, judged apart: no diagnosis may name a wrong one, however short
	part     diagnosis.Part // that was named; the wrong one, if there was one
}

// vague are the diagnoses that name no cause.
var vague = []diagnosis.Code{diagnosis.None, diagnosis.Undetermined, diagnosis.QRNotEmitted}

// judge compares the diagnoses with the truth. A right one that ends while the fault lasts counts as undetermined; a
// wrong one is wrong, however short.
func (f fault) judge(said []reading) result {
	r := f.judgeCause(said)
	r.partKind, r.part = f.judgePart(said)
	isShown := func(r reading) bool { return r.code == f.want && strings.Contains(r.evidence, f.evidence) }
	if r.said == f.want && !slices.ContainsFunc(said, isShown) {
		r.lacks, r.evidence = f.evidence, said[len(said)-1].evidence
	}
	return r
}

// wantParts are the parts where the cause of a fault lies; none if nothing is wrong, or if it is not known.
func (f fault) wantParts() []diagnosis.Part {
	switch part := f.want.Part(); {
	case f.parts != nil:
		return f.parts
	case part == diagnosis.NoPart || f.want == diagnosis.AlreadyPaired:
		return nil
	default:
		return []diagnosis.Part{part}
	}
}

// judgePart compares the parts that the diagnoses named with the truth.
func (f fault) judgePart(said []reading) (kind, diagnosis.Part) {
	want, named := f.wantParts(), diagnosis.NoPart
	for _, r := range said {
		part := r.code.Part()
		if part == diagnosis.NoPart || r.code == diagnosis.AlreadyPaired {
			continue
		}
		if named = part; !slices.Contains(want, part) {
			return wrong, part
		}
	}
	hasPart := f.want.Part() != diagnosis.NoPart && f.want != diagnosis.AlreadyPaired
	if named == diagnosis.NoPart && hasPart {
		return undetermined, named
	}
	return right, named
}

func (f fault) judgeCause(said []reading) result {
	names := append([]diagnosis.Code{f.want}, f.also...)
	last := said[len(said)-1]
	v := result{kind: right, said: last.code, after: -1}
	backs := 0
	for i, r := range said {
		switch {
		case slices.Contains(names, r.code):
			if v.after < 0 {
				v.after = r.at
			}
			v.said = r.code
		case !slices.Contains(vague, r.code) && !slices.Contains(f.before, r.code):
			note := fmt.Sprintf("%s after %s", r.code, r.at.Round(100*time.Millisecond))
			return result{kind: wrong, said: r.code, after: -1, note: note}
		case v.after >= 0 && i > 0 && slices.Contains(names, said[i-1].code):
			backs++
		}
	}
	switch {
	case v.after < 0:
		return result{kind: undetermined, said: last.code, after: -1}
	case f.passes && (last.code == diagnosis.None && backs > 0 || slices.Contains(names, last.code)),
		!f.passes && backs == 0 && slices.Contains(names, last.code):
		return v
	}
	note := fmt.Sprintf("%s ended before the fault: %v", f.want, said)
	return result{kind: undetermined, said: last.code, after: -1, note: note}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	s := time.Second
	f := fault{want: diagnosis.DNSFailed, before: []diagnosis.Code{diagnosis.EngineTimeout}}
	passing := f
	passing.passes = true
	for name, tt := range map[string]struct {
		f    fault
		said []reading
		want kind
	}{
		"named":                 {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.DNSFailed}}, right},
		"named late":            {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.QRNotEmitted}, {at: 2 * s, code: diagnosis.DNSFailed}}, right},
		"after its forerunner":  {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.EngineTimeout}, {at: 2 * s, code: diagnosis.DNSFailed}}, right},
		"never named":           {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.QRNotEmitted}}, undetermined},
		"taken back":            {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.DNSFailed}, {at: 2 * s, code: diagnosis.None}, {at: 3 * s, code: diagnosis.DNSFailed}}, undetermined},
		"wrong for a moment":    {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.LoggedOut}, {at: 2 * s, code: diagnosis.DNSFailed}}, wrong},
		"wrong in the end":      {f, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.DNSFailed}, {at: 2 * s, code: diagnosis.LoggedOut}}, wrong},
		"healed":                {passing, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.DNSFailed}, {at: 2 * s, code: diagnosis.None}}, right},
		"not healed":            {passing, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.DNSFailed}}, right},
		"never named, healed":   {passing, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.QRNotEmitted}, {at: 2 * s, code: diagnosis.None}}, undetermined},
		"nothing was wrong":     {fault{want: diagnosis.None}, []reading{{at: 0, code: diagnosis.None}}, right},
		"a false alarm":         {fault{want: diagnosis.None}, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.DNSFailed}}, wrong},
		"a false alarm, vague":  {fault{want: diagnosis.None}, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.QRNotEmitted}, {at: 2 * s, code: diagnosis.None}}, undetermined},
		"only its consequences": {fault{want: diagnosis.QRNotEmitted}, []reading{{at: 0, code: diagnosis.None}, {at: s, code: diagnosis.QRNotEmitted}}, right},
	} {
		if got := tt.f.judge(tt.said); got.kind != tt.want {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
}

func TestJudge_Part(t *testing.T) {
	t.Parallel()
	network := fault{want: diagnosis.DNSFailed}
	open := fault{want: diagnosis.WhatsAppSilent, parts: []diagnosis.Part{diagnosis.WhatsApp, diagnosis.Network}}
	for name, tt := range map[string]struct {
		f        fault
		said     []diagnosis.Code
		want     kind
		wantPart diagnosis.Part
	}{
		"another cause of the same part": {network, []diagnosis.Code{diagnosis.NetworkBlocked}, right, diagnosis.Network},
		"another part for a moment":      {network, []diagnosis.Code{diagnosis.LoggedOut, diagnosis.DNSFailed}, wrong, diagnosis.Account},
		"no part":                        {network, []diagnosis.Code{diagnosis.QRNotEmitted}, undetermined, diagnosis.NoPart},
		"one of two parts":               {open, []diagnosis.Code{diagnosis.NetworkBlocked}, right, diagnosis.Network},
		"a part without a fault":         {fault{want: diagnosis.None}, []diagnosis.Code{diagnosis.DNSFailed}, wrong, diagnosis.Network},
		"no fault":                       {fault{want: diagnosis.None}, []diagnosis.Code{diagnosis.QRNotEmitted}, right, diagnosis.NoPart},
	} {
		var said []reading
		for _, code := range tt.said {
			said = append(said, reading{code: code})
		}
		if got, part := tt.f.judgePart(said); got != tt.want || part != tt.wantPart {
			t.Errorf("%s: %s %q, want %s %q", name, got, part, tt.want, tt.wantPart)
		}
	}
}
