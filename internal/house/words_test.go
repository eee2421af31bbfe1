package house_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pattern is something that must not stand in any file. Patterns are put together from pieces, so that
// this file does not hold what it forbids.
type pattern struct {
	name string
	re   *regexp.Regexp
	why  string
}

func forbid(name, why string, pieces ...string) pattern {
	return pattern{name, regexp.MustCompile(strings.Join(pieces, "")), why}
}

// Files that hold hashes and versions of others.
var foreign = []string{"go.sum", "package-lock.json", "LICENSE", "NOTICE"}

// forbidden is what no file may hold.
func forbidden() []pattern {
	return []pattern{
		forbid("private key", "no credential is ever committed, not even one made up", `-----BEGIN [A-Z ]*PRIV`, `ATE KEY`),
		forbid("api key", "no credential is ever committed; write key-a", `(?i)(prod|live)_[a-z]+_(api|key)_[0-9a-f]{12,}|sk`, `_live_|AK`, `IA[0-9A-Z]{16}|AI`, `za[0-9A-Za-z_-]{35}`),
		forbid("token", "no credential is ever committed", `gh[pousr]_[A-Za-z0-9]{20,}|gl`, `pat-[A-Za-z0-9_-]{20,}|xo`, `x[abp]-[0-9]+-`),
		forbid("signed token", "no credential is ever committed", `ey`, `J[A-Za-z0-9_-]{10,}\.ey`, `J[A-Za-z0-9_-]{10,}`),
		forbid("machine's path", "the repository is the same everywhere; use a relative path or t.TempDir()", `/wo`, `rk/|/ro`, `ot/|/Us`, `ers/|/ho`, `me/[a-z]+/|/var/fol`, `ders/`),
		forbid("how it was written", "the repository speaks of the product alone", `(?i)\b(cl`, `aude|anth`, `ropic|chat`, `gpt|cop`, `ilot|l`, `lm)\b`),
		forbid("issue number", "a reader has the repository, not the tracker; say the reason itself", `(?i)\biss`, `ue #?\d+|\bpull requ`, `est #?\d+`),
	}
}

func TestForbiddenWords(t *testing.T) {
	t.Parallel()
	for _, p := range forbidden() {
		var found []finding
		for _, d := range documents(t) {
			found = append(found, p.in(d)...)
		}
		judge(t, p.name, p.why, found)
	}
}

func (p pattern) in(d document) []finding {
	if slices.Contains(foreign, path.Base(d.path)) {
		return nil
	}
	var out []finding
	for i, line := range strings.Split(d.text, "\n") {
		if p.re.MatchString(line) {
			out = append(out, finding{d.path, p.name, i + 1})
		}
	}
	return out
}

var (
	// email fits addresses, but not the password in a URL; nobody's domains are those of RFC 2606 and of
	// WhatsApp's ids, which name no person here.
	email   = regexp.MustCompile(`(?:^|mailto:|[^:/A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}`)
	nobodys = regexp.MustCompile(`(@|\.)(example\.(com|org|net)|example|test|invalid|localhost|s\.whatsapp\.net|g\.us|c\.us)$`)

	// phone fits numbers in the international form, and quoted or addressed runs of digits as long as one.
	phone = regexp.MustCompile(`\+[1-9]\d{7,14}\b|["'\x60/][1-9]\d{9,14}["'\x60@]`)
	// unreal are numbers that no phone has: the 555-01xx block, one digit over and over, and UNIX milliseconds
	// of this century's first decades.
	unreal = regexp.MustCompile(`555\d?01\d\d|(0{7,}|1{7,}|9{7,})|\b1[67]\d{11}\b`)
)

func TestNobodysAddress(t *testing.T) {
	t.Parallel()
	var found []finding
	for _, d := range documents(t) {
		found = append(found, addresses(d)...)
	}
	judge(t, "people", "No e-mail address and no phone number of anybody, also not in fixtures: write a@example.com and 5550100.", found)
}

func addresses(d document) []finding {
	if slices.Contains(foreign, path.Base(d.path)) || strings.HasSuffix(d.path, ".svg") {
		return nil
	}
	var out []finding
	for i, line := range strings.Split(d.text, "\n") {
		for _, m := range email.FindAllString(line, -1) {
			if !nobodys.MatchString(m) {
				out = append(out, finding{d.path, "e-mail address", i + 1})
			}
		}
		for _, m := range phone.FindAllString(line, -1) {
			if !unreal.MatchString(m) {
				out = append(out, finding{d.path, "phone number", i + 1})
			}
		}
	}
	return out
}
