package confusion_test

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

const preamble = `# Diagnoses of injected faults

The left column is a fault that a test injects. The others are the diagnosis of ` + "`GET …/qr/status`" + `, requested as a client does, and the time until it.
The engines are a simulated engine of the documented API, the embedded engine (the real whatsmeow library), and the example engine on the real Baileys
library; WhatsApp is simulated. **✓** is the right cause, **?** is a response without a cause, **—** is a fault that cannot occur there.
A wrong cause fails the test, even for a moment.

Times count from the first symptom and are rounded up; the test requires a median below ten seconds. The first two engines run on fake time. The Baileys
engine gives up a dial after three seconds instead of twenty. Baileys never reports that it gets no codes; for that row qrgate runs with its
connectivity check, in front of an engine with the documented limit of 30 calls a minute.

` + "`go test ./internal/test/confusion -update`" + ` writes this page, and that test compares it. qrgate's responses describe each code, who must act and what to do,
in English and Spanish. ` + "`qrgate doctor`" + ` checks the same causes by hand.
`

// document returns the page. Without Baileys on this machine, its column is that of the old page.
func (all *table) document(old []string) string {
	var b strings.Builder
	b.WriteString(preamble)
	b.WriteString("\n" + scoreLine + "\n\n## Between qrgate and its engine\n\n| Fault | Cause | " + string(atRest) + " |\n|---|---|---|\n")
	for _, f := range restFaults() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, f.truth(), all.cell(f, atRest))
	}
	fmt.Fprintf(&b, "\n## Between an engine and WhatsApp\n\n| Fault | Cause | %s | %s |\n|---|---|---|---|\n", atEmbedded, atBaileys)
	for _, f := range whatsappFaults() {
		line := fmt.Sprintf("| %s | %s | %s | ", f.name, f.truth(), all.cell(f, atEmbedded))
		b.WriteString(line + all.cellOr(f, old) + " |\n")
	}
	b.WriteString("\n## The order of the causes\n\n")
	b.WriteString("Causes come before their consequences. The diagnosis is the first cause that has lasted for its delay.\n\n")
	b.WriteString("| Code | Delay |\n|---|---|\n")
	for _, code := range []diagnosis.Code{diagnosis.EngineUnreachable, diagnosis.ConnectFailing, diagnosis.RateLimited, diagnosis.QRExpired, diagnosis.QRNotEmitted, diagnosis.SessionStuck} {
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, session.ConfirmDelay(code))
	}
	b.WriteString("\nA cause that the engine itself reports has no delay.\n")
	return counted(b.String())
}

// scoreLine is the placeholder of the score.
const scoreLine = "(the score)"

// counted replaces the placeholder of a page by the score of its cells.
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
	return strings.Replace(page, scoreLine, fmt.Sprintf("**%d of %d** diagnoses are right (%.1f %%). Without a cause: %d. With a wrong cause: 0.",
		right, all, 100*float64(right)/float64(all), unnamed), 1)
}

// truth returns the cause of a fault, as the page shows it.
func (f fault) truth() string {
	if f.want == diagnosis.None {
		return "nothing is wrong"
	}
	return "`" + string(f.want) + "`"
}

// cell returns the text of a verdict.
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

// other returns the code of a verdict if it is right but not the first choice.
func other(f fault, v verdict) string {
	if v.said == f.want {
		return ""
	}
	return " `" + string(v.said) + "`"
}

// ceiling rounds a time up: polls and samples vary a little.
func ceiling(d time.Duration) time.Duration {
	for _, bound := range []time.Duration{1, 2, 5, 10, 15, 30} {
		if d <= bound*time.Second {
			return bound * time.Second
		}
	}
	return time.Minute
}

// cellOr returns the verdict on Baileys, or the old page's if Baileys did not run.
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
