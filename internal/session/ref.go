package session

import (
	"cmp"
	"strconv"
	"strings"
)

// MaxIDLength is the longest session id accepted in a path, in bytes.
const MaxIDLength = 100

// Ref names a session at the engine in both documented ways (contract C9). Either part may be missing.
type Ref struct {
	ID   int64  `json:"id,omitempty"`   // the engine's integer primary key, > 0 when known
	Name string `json:"name,omitempty"` // the sessionId that the client chose
}

// ParseRef reads an id from a path: digits are the engine's integer, anything else a name. A sessionId of digits alone
// is possible; the caller keeps the text for that. ok is false outside ^[A-Za-z0-9_-]{1,100}$.
func ParseRef(id string) (r Ref, ok bool) {
	if !ValidID(id) {
		return Ref{}, false
	}
	if id[0] < '1' || id[0] > '9' { // an error of ParseInt costs two allocations
		return Ref{Name: id}, true
	}
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && n > 0 && strconv.FormatInt(n, 10) == id {
		return Ref{ID: n}, true
	}
	return Ref{Name: id}, true
}

// ValidID reports whether id matches ^[A-Za-z0-9_-]{1,100}$.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxIDLength && strings.IndexFunc(id, func(c rune) bool {
		return c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) < 0
}

// URLSegment names the session in a URL of the engine: by the integer if known, which every version of the engine
// accepts, else by the name.
func (r Ref) URLSegment() string {
	if r.ID > 0 {
		return strconv.FormatInt(r.ID, 10)
	}
	return r.Name
}

// CacheKey is the key under which a session is stored. The prefix of a name separates it from integers.
func (r Ref) CacheKey() string {
	if r.ID > 0 {
		return strconv.FormatInt(r.ID, 10)
	}
	return "n:" + r.Name
}

// AcquisitionID names the acquisition of a tenant's session in events and spans. It must not be a metric label.
func AcquisitionID(t Tenant, key string) string { return string(t) + "/" + key }

// IsZero reports whether the ref is empty.
func (r Ref) IsZero() bool { return r == Ref{} }

// Matches reports whether two refs name the same session. Different integers are two sessions, whatever their names.
func (r Ref) Matches(other Ref) bool {
	if r.ID > 0 && other.ID > 0 {
		return r.ID == other.ID
	}
	return r.Name != "" && r.Name == other.Name
}

// String names a session in logs and events: by the client's own id where it is known.
func (r Ref) String() string {
	if r.Name != "" {
		return r.Name
	}
	return strconv.FormatInt(r.ID, 10)
}

// Merge fills the parts that r lacks from other.
func (r Ref) Merge(other Ref) Ref {
	return Ref{ID: cmp.Or(r.ID, other.ID), Name: cmp.Or(r.Name, other.Name)}
}
