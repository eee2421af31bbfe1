package session

import "strconv"

// MaxIDLength is the longest session id accepted in a path, in bytes.
const MaxIDLength = 100

// Ref names a session at the engine in both documented ways (contract C9). Either part may be missing.
type Ref struct {
	ID   int64  `json:"id,omitempty"`   // the engine's integer primary key, > 0 when known
	Name string `json:"name,omitempty"` // the sessionId that the client chose
}

// ParseRef reads an id from a path. Digits are the engine's integer; a sessionId of digits alone is
// possible, so the text is kept as the name's candidate by the caller, not here.
// It reports false for anything outside ^[A-Za-z0-9_-]{1,100}$.
func ParseRef(id string) (Ref, bool) {
	if !ValidID(id) {
		return Ref{}, false
	}
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && n > 0 && strconv.FormatInt(n, 10) == id {
		return Ref{ID: n}, true
	}
	return Ref{Name: id}, true
}

// ValidID reports whether id is within ^[A-Za-z0-9_-]{1,100}$.
func ValidID(id string) bool {
	if id == "" || len(id) > MaxIDLength {
		return false
	}
	for i := range len(id) {
		c := id[i]
		ok := c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !ok {
			return false
		}
	}
	return true
}

// URLSegment is how the engine is asked for this session: the integer when it is known, which every version
// of the engine accepts, else the name.
func (r Ref) URLSegment() string {
	if r.ID > 0 {
		return strconv.FormatInt(r.ID, 10)
	}
	return r.Name
}

// CacheKey is the one name under which a session is kept: its integer, or its name behind a mark that no
// integer has.
func (r Ref) CacheKey() string {
	if r.ID > 0 {
		return strconv.FormatInt(r.ID, 10)
	}
	return "n:" + r.Name
}

// AcquisitionID names the acquisition of a tenant's session, for correlating events and spans. It must not be
// a metric label.
func AcquisitionID(t Tenant, key string) string { return string(t) + "/" + key }

// IsZero reports whether the ref names nothing.
func (r Ref) IsZero() bool { return r.ID == 0 && r.Name == "" }

// Matches reports whether two refs name the same session. Integers that differ are two sessions, whatever their names.
func (r Ref) Matches(other Ref) bool {
	if r.ID > 0 && other.ID > 0 {
		return r.ID == other.ID
	}
	return r.Name != "" && r.Name == other.Name
}

// String is how logs and events name a session: by the client's own id where it is known.
func (r Ref) String() string {
	if r.Name != "" {
		return r.Name
	}
	return strconv.FormatInt(r.ID, 10)
}

// Merge fills the parts that r lacks from other.
func (r Ref) Merge(other Ref) Ref {
	if r.ID == 0 {
		r.ID = other.ID
	}
	if r.Name == "" {
		r.Name = other.Name
	}
	return r
}
