package enginesim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const maxPage = 100 // items; documented (DC:1604)

// list shows the account's sessions, newest first, a page at a time.
func (e *Engine) list(query url.Values, account string) answer {
	page, limit := number(query.Get("page"), 1), number(query.Get("limit"), e.pageSize())
	if limit > maxPage && e.StrictLimit {
		return e.invalid()
	}
	limit = min(limit, maxPage)
	var items []object
	for i := len(e.sessions) - 1; i >= 0; i-- {
		s := e.sessions[i]
		e.settle(s, e.now())
		if s.account == account && e.wanted(s, query.Get("status")) {
			items = append(items, e.item(s))
		}
	}
	total := len(items)
	from := min((page-1)*limit, total)
	shown := append([]object{}, items[from:min(from+limit, total)]...)
	return success(http.StatusOK, "", object{
		{"sessions", shown},
		{"pagination", object{{"total", total}, {"page", page}, {"limit", limit}, {"pages", (total + limit - 1) / limit}}},
	})
}

func (e *Engine) wanted(s *simSession, status string) bool {
	return status == "" || strings.EqualFold(status, e.spell(e.phase(s, e.now())))
}

func (e *Engine) pageSize() int {
	if e.PageSize > 0 {
		return e.PageSize
	}
	return 10
}

// number reads a positive number of at most six digits, or takes the default.
func number(text string, otherwise int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 999_999 {
		return otherwise
	}
	return n
}

func (e *Engine) stats(account string) answer {
	total, linked := 0, 0
	for _, s := range e.sessions {
		e.settle(s, e.now())
		if s.account != account {
			continue
		}
		total++
		if e.phase(s, e.now()) == Linked {
			linked++
		}
	}
	return success(http.StatusOK, "", object{{"total", total}, {"connected", linked}})
}
