package doctor

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every title and help has its Spanish.
func TestSpanish_EveryMessage(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("messages.go")
	if err != nil {
		t.Fatal(err)
	}
	messages := regexp.MustCompile(`(?m)^\t(?:title|help)\w+ += ("(?:.+\n\t\t)*.+")$`).FindAllStringSubmatch(string(source), -1)
	if len(messages) == 0 || len(messages) != len(spanish) {
		t.Errorf("%d messages, %d of them in Spanish", len(messages), len(spanish))
	}
	parts := regexp.MustCompile(`" \+\n\t\t"`)
	for _, m := range messages {
		english := strings.Trim(parts.ReplaceAllString(m[1], ""), `"`)
		if translation := spanish[english]; translation == "" || translation == english {
			t.Errorf("%q has no Spanish", english)
		}
	}
}
