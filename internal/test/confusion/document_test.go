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
library, and simulated engines of other APIs; WhatsApp is simulated. **✓** is the right cause, **?** is a response without a cause, **—** is a fault that cannot occur there.
A wrong cause fails the test, even for a moment.

The part is where the diagnosis looks for the cause: this machine (where the engine runs), its network, WhatsApp, the engine, the account and its phone, or
the caller. A wrong part fails the test, even for a moment; "undetermined" is a diagnosis that names none.

Times count from the first symptom and are rounded up; the test requires a median below ten seconds. The first two engines run on fake time. The Baileys
engine gives up a dial after three seconds instead of twenty. Baileys never reports that it gets no codes, and not whose certificate has
expired; for those rows qrgate runs with its connectivity check.

` + "`go test ./internal/test/confusion -update`" + ` writes this page, and that test compares it. qrgate's responses describe each code, who must act and what to do,
in English and Spanish. ` + "`qrgate doctor`" + ` checks the same causes by hand.
`

// document returns the page. Without Baileys on this machine, its column is that of the old page.
func (all *table) document(old []string) string {
	var b strings.Builder
	b.WriteString(preamble)
	b.WriteString("\n" + scoreLine + "\n\n## Between qrgate and its engine\n\n| Fault | Cause | " + string(atRest) + " | Part named |\n|---|---|---|---|\n")
	for _, f := range restFaults() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.name, f.truth(), all.cell(f, atRest), all.part(f, atRest))
	}
	all.writeKinds(&b)
	fmt.Fprintf(&b, "\n## Between an engine and WhatsApp\n\n| Fault | Cause | %s | Part named | %s | Part named |\n"+
		"|---|---|---|---|---|---|\n", atEmbedded, atBaileys)
	for _, f := range whatsappFaults() {
		line := fmt.Sprintf("| %s | %s | %s | %s | ", f.name, f.truth(), all.cell(f, atEmbedded), all.part(f, atEmbedded))
		b.WriteString(line + all.baileysCells(f, old) + " |\n")
	}
	b.WriteString("\n## The order of the causes\n\n")
	b.WriteString("Causes come before their consequences. The diagnosis is the first cause that has lasted for its delay.\n\n")
	b.WriteString("| Code | Delay |\n|---|---|\n")
	for _, code := range []diagnosis.Code{diagnosis.EngineUnreachable, diagnosis.ConnectFailing, diagnosis.RateLimited,
		diagnosis.QRExpired, diagnosis.QRNotEmitted, diagnosis.SessionStuck} {
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, session.ConfirmDelay(code))
	}
	b.WriteString("\nA cause that the engine itself reports has no delay.\n")
	return counted(b.String())
}

// scoreLine is the placeholder of the score.
const scoreLine = "(the score)"

// counted replaces the placeholder of a page by the score of its cells.
func counted(page string) string {
	count := map[string]int{}
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		for i := 2; i+1 < len(cells); i += 2 {
			cause, _, _ := strings.Cut(cells[i], ",")
			count[string([]rune(cause)[:1])]++
			if cells[i] != "—" && cells[i+1] == string(undetermined) {
				count["part "+string(undetermined)]++
			}
		}
	}
	all := count["✓"] + count["?"]
	unnamed := count["part "+string(undetermined)]
	return strings.Replace(page, scoreLine, fmt.Sprintf(
		"**%d of %d** diagnoses are right (%.1f %%). Without a cause: %d. With a wrong cause: 0.\n"+
			"The part is right in %d, undetermined in %d, wrong in 0.",
		count["✓"], all, 100*float64(count["✓"])/float64(all), count["?"], all-unnamed, unnamed), 1)
}

// truth returns the cause of a fault, as the page shows it.
func (f fault) truth() string {
	if f.want == diagnosis.None {
		return "nothing is wrong"
	}
	return "`" + string(f.want) + "`"
}

// part returns the part that was named.
func (all *table) part(f fault, e engine) string {
	v, met := all.cells[f.name][e]
	switch {
	case !met:
		return "—"
	case v.partKind == undetermined:
		return string(undetermined)
	case v.part == diagnosis.NoPart:
		return "none"
	}
	return string(v.part)
}

// cell returns the text of a result.
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

// other returns the code of a result if it is right but not the first choice.
func other(f fault, v result) string {
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

// baileysCells returns the result on Baileys, or the old page's if Baileys did not run.
func (all *table) baileysCells(f fault, old []string) string {
	if _, met := all.cells[f.name][atBaileys]; met || f.whatsapp.baileys != "" {
		return all.cell(f, atBaileys) + " | " + all.part(f, atBaileys)
	}
	for _, line := range old {
		if cells := strings.Split(line, " | "); len(cells) == 6 && cells[0] == "| "+f.name {
			return cells[4] + " | " + strings.TrimSuffix(cells[5], " |")
		}
	}
	return "— | —"
}

// measured are the times, which differ a little between runs.
var measured = regexp.MustCompile(`, [0-9m]+s \|`)

func withoutTimes(line string) string { return measured.ReplaceAllString(line, " |") }
