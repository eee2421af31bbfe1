package pairpage_test

import (
	"errors"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/pairpage"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
)

// Every text and every cause exists in every language.
func TestTexts_AreComplete(t *testing.T) {
	t.Parallel()
	texts, err := pairpage.Assets()
	if err != nil {
		t.Fatal(err)
	}
	english := slices.Sorted(maps.Keys(texts["en"]))
	for _, language := range pairpage.Languages() {
		if got := slices.Sorted(maps.Keys(texts[language])); !slices.Equal(got, english) || len(got) < 30 {
			t.Errorf("%s has the texts %v, want %v", language, got, english)
		}
	}
	for _, code := range diagnosis.Codes() {
		d := diagnosis.New(code)
		for _, language := range []string{"es", "pt"} {
			c := pairpage.NewCause(d, language)
			isTranslated := c.Title != d.Title && (d.Who != diagnosis.Customer || c.Help != "" && c.Help != d.Help)
			if !isTranslated || c.Code != code || c.Who != d.Who {
				t.Errorf("%s in %s: %+v", code, language, c)
			}
		}
		if c := pairpage.NewCause(d, "en"); (c.Help == "") == (d.Who == diagnosis.Customer) {
			t.Errorf("%s, for %s: the advice is %q", code, d.Who, c.Help)
		}
	}
}

func TestLanguageOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ locale, accept, want string }{
		{"", "", "en"}, {"", "pt-BR,pt;q=0.9,en;q=0.8", "pt"}, {"", "es-MX", "es"}, {"", "fr, es;q=0.5", "es"}, {"", "ja", "en"},
		{"es", "pt-BR", "es"}, {"pt-PT", "en", "pt"}, {"en", "es", "en"}, {"", strings.Repeat("es,", 100), "en"},
	} {
		if got := pairpage.LanguageOf(tt.locale, tt.accept); got != tt.want {
			t.Errorf("%q, %.20q: %s, want %s", tt.locale, tt.accept, got, tt.want)
		}
	}
	for text, want := range map[string]bool{"es": true, "pt-BR": true, "en-GB": true, "fr": false, "x y": false, "": false} {
		if got := pairpage.IsLocale(text); got != want {
			t.Errorf("IsLocale(%q) is %v", text, got)
		}
	}
}

// The page is one document of at most 60 KB, and allows no other origin.
func TestWrite_PageIsSmallAndClosed(t *testing.T) {
	t.Parallel()
	for _, language := range pairpage.Languages() {
		w := httptest.NewRecorder()
		view := pairpage.View{Language: language, RedirectURL: "https://a.example/</script>", Status: pairpage.Status{
			Phase: pairpage.Scan, QRCode: "data:image/png;base64," + strings.Repeat("A", 6000),
		}}
		if err := pairpage.Write(w, 200, view); err != nil {
			t.Fatal(err)
		}
		body := w.Body.String()
		if len(body) > 60<<10 || len(body) < 10_000 {
			t.Errorf("%s: %d bytes", language, len(body))
		}
		policy := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "script-src 'nonce-"} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy is %q, want %s", policy, want)
			}
		}
		for _, bad := range []string{"http://", "https://cdn", "<no value>", "example/</script>"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: the page has %q", language, bad)
			}
		}
	}
}

// links returns the links of two replicas with one store.
func links(t *testing.T) (a, b *pairpage.Links, caller session.Caller) {
	t.Helper()
	sealer, err := seal.New(secret.NewSecret("a secret of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	s := memory.New(memory.Config{})
	caller = session.Caller{Key: secret.NewSecret("key-a")}
	caller.Tenant = sealer.Tenant(caller.Credential())
	return pairpage.NewLinks(sealer, s), pairpage.NewLinks(sealer, s), caller
}

func issue(t *testing.T, k *pairpage.Links, c session.Caller, ref session.Ref) string {
	t.Helper()
	token, err := k.Issue(t.Context(), c, pairpage.Link{Ref: ref, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)})
	if err != nil || !pairpage.IsToken(token) {
		t.Fatalf("token %q: %v", token, err)
	}
	return token
}

// A link works on every replica until it expires, is revoked or was used; then its credential is gone.
func TestLinks_Lifetime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, caller := links(t)
		ref := session.Ref{ID: 7, Name: "shop-1"}
		expiring, revoked, used := issue(t, a, caller, ref), issue(t, a, caller, session.Ref{Name: "shop-2"}), issue(t, a, caller, ref)
		link, err := b.Find(t.Context(), used)
		if err != nil || link.Caller().Key.Reveal() != "key-a" || link.Ref != ref {
			t.Fatalf("%+v, %v", link, err)
		}
		if err := b.Use(t.Context(), link); err != nil {
			t.Fatal(err)
		}
		if link, err = a.Find(t.Context(), used); err != nil || !link.IsUsed || !link.Caller().Credential().Empty() {
			t.Errorf("after its use: %+v, %v", link, err)
		}
		stranger := session.Caller{Tenant: "another"}
		for _, c := range []session.Caller{stranger, caller} {
			if err := b.Revoke(t.Context(), c, session.Ref{ID: 8, Name: "shop-2"}); err != nil {
				t.Fatal(err)
			}
			_, err = a.Find(t.Context(), revoked)
			if isRevoked := errors.Is(err, pairpage.ErrNoLink); isRevoked == (c.Tenant == stranger.Tenant) {
				t.Errorf("revoked by %s: %v", c.Tenant, err)
			}
		}
		if token := issue(t, a, caller, session.Ref{Name: "shop-2"}); token == revoked {
			t.Error("the same token again")
		} else if _, err := b.Find(t.Context(), token); err != nil {
			t.Errorf("a link after the revocation: %v", err)
		}
		if _, err := a.Find(t.Context(), expiring); err != nil {
			t.Errorf("another link of the caller: %v", err)
		}
		<-time.After(time.Minute)
		if _, err := a.Find(t.Context(), expiring); !errors.Is(err, pairpage.ErrNoLink) {
			t.Errorf("after its end: %v", err)
		}
	})
}

// Five pairing codes per link, whichever replica is asked.
func TestLinks_CodesAreLimited(t *testing.T) {
	t.Parallel()
	a, b, caller := links(t)
	token := issue(t, a, caller, session.Ref{ID: 1})
	allowed := 0
	for i := range 8 {
		k := []*pairpage.Links{a, b}[i%2]
		link, err := k.Find(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if k.CountCode(t.Context(), link) {
			allowed++
		}
	}
	if allowed != 5 {
		t.Errorf("%d codes", allowed)
	}
}
