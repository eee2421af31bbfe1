package fleet

import (
	"fmt"
	"math"
	"testing"
)

func TestPlace_SharesFollowWeights(t *testing.T) {
	t.Parallel()
	candidates := []candidate{{"a", 1, isHealthy}, {"b", 3, isHealthy}, {"drained", 0, isHealthy}}
	counts := map[int]int{}
	const sessions = 4000
	for i := range sessions {
		order := place(candidates, fmt.Sprint(i))
		if len(order) != 2 {
			t.Fatalf("the order is %v", order)
		}
		counts[order[0]]++
	}
	if share := float64(counts[1]) / sessions; math.Abs(share-.75) > .03 {
		t.Errorf("b has %.2f of the sessions", share)
	}
}

// Whatever fails, the other engines keep the order that they had: only the sessions of that engine go elsewhere.
func TestPlace_HealthComesFirst(t *testing.T) {
	t.Parallel()
	for i := range 200 {
		key := fmt.Sprint(i)
		well := place([]candidate{{"a", 1, isHealthy}, {"b", 1, isHealthy}, {"c", 1, isHealthy}}, key)
		for name, c := range map[string]struct {
			candidates []candidate
			last       int
		}{
			"down":    {[]candidate{{"a", 1, isHealthy}, {"b", 1, isDown}, {"c", 1, isHealthy}}, 1},
			"failing": {[]candidate{{"a", 1, isUp}, {"b", 1, isHealthy}, {"c", 1, isHealthy}}, 0},
			"worse":   {[]candidate{{"a", 1, isUp}, {"b", 1, isUp}, {"c", 1, isDown}}, 2},
		} {
			order := place(c.candidates, key)
			var want []int
			for _, i := range well {
				if i != c.last {
					want = append(want, i)
				}
			}
			if want = append(want, c.last); fmt.Sprint(order) != fmt.Sprint(want) {
				t.Errorf("%s: the order of %s is %v, want %v", name, key, order, want)
			}
		}
	}
}

func TestSessionOf(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		"GET /api/sessions/crm-1/qr":                "crm-1",
		"POST /api/sessions/61/frappe/configure":    "61",
		"GET /api/sessions/stats":                   "",
		"GET /api/sessions/frappe/sessions":         "",
		"POST /api/messages/crm-1/send":             "crm-1",
		"GET /api/messages/crm-1/12345@c.us":        "crm-1",
		"GET /api/messages/unread":                  "",
		"DELETE /api/messages/77":                   "",
		"POST /api/messages/77/retry":               "",
		"PUT /api/contacts/77":                      "",
		"GET /api/contacts/crm-1/search/34":         "crm-1",
		"GET /api/groups/sessions/crm-1/groups/9":   "crm-1",
		"POST /api/status/sessions/crm-1":           "crm-1",
		"POST /api/media/sessions/crm-1/upload":     "crm-1",
		"GET /api/media/9/download":                 "",
		"GET /api/sessions/%2e%2e/qr":               "",
		"GET /api/auth/profile":                     "",
		"GET /api/templates/organizations/9/active": "",
	} {
		var method, path string
		_, _ = fmt.Sscan(request, &method, &path)
		if got := sessionOf(method, path); got != want {
			t.Errorf("%s: session %q, want %q", request, got, want)
		}
	}
}
