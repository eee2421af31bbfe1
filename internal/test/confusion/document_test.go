package confusion_test

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

const preamble = `# What the gate makes of a fault

The left column is a fault that a test injects; the others are what ` + "`GET …/qr/status`" + ` calls it, asked as a client asks, and how long that takes.
The engines are a simulated one of the documented API, the embedded engine (the real whatsmeow library), and the example engine on the real Baileys
library; WhatsApp is simulated. **✓** is the right name, **?** is an answer that names no cause, **—** a fault that cannot occur there.
An answer with the name of another cause fails the test, even for a moment.

Times count from the first symptom and are rounded up; a test holds their median under ten seconds. The first two engines run on fake time. The one on
Baileys is told to give up a dial after three seconds instead of twenty. That no codes are sent Baileys never says; there the gate as it is delivered
goes to WhatsApp itself and finds out, before an engine with the documented limit of 30 calls a minute.

This page is written by ` + "`go test ./internal/test/confusion -update`" + ` and compared by that test. What each code means, who must act and what to do is in the
gate's own answers, in English and Spanish. ` + "`qrgate doctor`" + ` walks the same ladder by hand.
`

// document is the page. old is the one before it, whose column for Baileys stands when Baileys cannot run here.
func (all *table) document(old []string) string {
	var b strings.Builder
	b.WriteString(preamble)
	b.WriteString("\n" + scoreLine + "\n\n## Between the gate and its engine\n\n| Fault | Cause | " + string(atRest) + " |\n|---|---|---|\n")
	for _, f := range restFaults() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, f.truth(), all.cell(f, atRest))
	}
	fmt.Fprintf(&b, "\n## Between an engine and WhatsApp\n\n| Fault | Cause | %s | %s |\n|---|---|---|---|\n", atEmbedded, atBaileys)
	for _, f := range whatsappFaults() {
		line := fmt.Sprintf("| %s | %s | %s | ", f.name, f.truth(), all.cell(f, atEmbedded))
		b.WriteString(line + all.cellOr(f, old) + " |\n")
	}
	b.WriteString("\n## The order in which causes are looked for\n\n")
	b.WriteString("Causes come before their consequences, and the first that has lasted long enough to be believed is the answer.\n\n")
	b.WriteString("| Code | Named after |\n|---|---|\n")
	for _, code := range []diagnosis.Code{diagnosis.EngineUnreachable, diagnosis.ConnectFailing, diagnosis.RateLimited, diagnosis.QRExpired, diagnosis.QRNotEmitted, diagnosis.SessionStuck} {
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, session.ConfirmDelay(code))
	}
	b.WriteString("\nWhat an engine names itself is named at once.\n")
	return counted(b.String())
}

// scoreLine stands where the count will be.
const scoreLine = "(the score)"

// counted puts the score into a page, counted from its cells.
func counted(page string) string {
	right, unnamed := 0, 0
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, cell := range strings.Split(line, " | ") {
			switch {
			case strings.HasPrefix(cell, "✓"):
				right++
			case strings.HasPrefix(cell, "?"):
				unnamed++
			}
		}
	}
	all := right + unnamed
	return strings.Replace(page, scoreLine, fmt.Sprintf("**%d of %d** answers are right, which is %.1f %%. Without a cause: %d. With a wrong one: none.",
		right, all, 100*float64(right)/float64(all), unnamed), 1)
}

// truth is the cause of a fault, as the page shows it.
func (f fault) truth() string {
	if f.want == diagnosis.None {
		return "nothing is wrong"
	}
	return "`" + string(f.want) + "`"
}

// cell is a verdict.
func (all *table) cell(f fault, e engine) string {
	v, met := all.cells[f.name][e]
	switch {
	case !met:
		return "—"
	case v.kind != right:
		return "?"
	case f.want == diagnosis.None:
		return "✓"
	}
	return fmt.Sprintf("✓%s, %s", other(f, v), ceiling(v.after))
}

// other is a right name that is not the first one.
func other(f fault, v verdict) string {
	if v.said == f.want {
		return ""
	}
	return " `" + string(v.said) + "`"
}

// ceiling rounds a time up: the looks of a gate and the samples of this test come a little sooner or later.
func ceiling(d time.Duration) time.Duration {
	for _, bound := range []time.Duration{1, 2, 5, 10, 15, 30} {
		if d <= bound*time.Second {
			return bound * time.Second
		}
	}
	return time.Minute
}

// cellOr is the verdict on Baileys, or what the page said before if Baileys did not run.
func (all *table) cellOr(f fault, old []string) string {
	if _, met := all.cells[f.name][atBaileys]; met || f.whatsapp.baileys != "" {
		return all.cell(f, atBaileys)
	}
	for _, line := range old {
		if cells := strings.Split(line, " | "); len(cells) == 4 && cells[0] == "| "+f.name {
			return strings.TrimSuffix(cells[3], " |")
		}
	}
	return "—"
}

// measured are the times, which differ a little between runs.
var measured = regexp.MustCompile(`, [0-9m]+s \|`)

func withoutTimes(line string) string { return measured.ReplaceAllString(line, " |") }
