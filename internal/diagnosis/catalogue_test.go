package diagnosis_test

import (
	"slices"
	"strings"
	"testing"

	"qrgate/internal/diagnosis"
)

// Every cause has a title, an advice and an actor, in every language.
func TestCatalogue_IsComplete(t *testing.T) {
	t.Parallel()
	for _, code := range diagnosis.Codes() {
		english := diagnosis.New(code)
		if english.Code != code || english.Who == "" {
			t.Errorf("%s: %+v", code, english)
		}
		for _, language := range diagnosis.Languages() {
			d := english.Localize(language)
			if d.Title == "" || !strings.HasSuffix(d.Help, ".") || strings.HasSuffix(d.Title, ".") {
				t.Errorf("%s in %s: title %q, help %q", code, language, d.Title, d.Help)
			}
			if language != "en" && (d.Title == english.Title || d.Help == english.Help) {
				t.Errorf("%s is not translated to %s", code, language)
			}
			if d.Code != code || d.Who != english.Who {
				t.Errorf("%s in %s has another code or actor", code, language)
			}
		}
	}
}

func TestLocalize_LanguageNames(t *testing.T) {
	t.Parallel()
	for name, spanish := range map[string]bool{"es": true, "es-MX": true, "en": false, "": false, "e": false, "est": false, "fr": false} {
		d := diagnosis.New(diagnosis.DNSFailed).Localize(name)
		if got := strings.HasPrefix(d.Title, "No se puede"); got != spanish {
			t.Errorf("%q: %s", name, d.Title)
		}
	}
}

// An unknown code becomes Undetermined, so that it cannot become a metric label.
func TestNew_UnknownCodeIsUndetermined(t *testing.T) {
	t.Parallel()
	if d := diagnosis.New("made_up", "a line"); d.Code != diagnosis.Undetermined || len(d.Evidence) != 1 {
		t.Errorf("%+v", d)
	}
	if d := (diagnosis.Diagnosis{}); !d.Healthy() || d.NeedsPerson() {
		t.Error("an empty diagnosis is not healthy")
	}
}

// Every cause lies in a part, but for those that leave it open.
func TestPart_EveryCauseHasOne(t *testing.T) {
	t.Parallel()
	open := []diagnosis.Code{diagnosis.Undetermined, diagnosis.QRNotEmitted, diagnosis.PairingFailed,
		diagnosis.RedisUnavailable, diagnosis.Internal}
	for _, code := range diagnosis.Codes() {
		if has := code.Part() != diagnosis.NoPart; has == slices.Contains(open, code) {
			t.Errorf("%s lies in %q", code, code.Part())
		}
	}
}
