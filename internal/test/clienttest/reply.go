package clienttest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// document is a JSON answer, read as loosely as Python and JavaScript read it.
type document map[string]any

// json parses the body. An answer that is no JSON object makes most clients crash.
func (r reply) json() (document, error) {
	if r.err != nil {
		return nil, r.err
	}
	var d document
	decoder := json.NewDecoder(strings.NewReader(r.text))
	decoder.UseNumber()
	if err := decoder.Decode(&d); err != nil || d == nil {
		return nil, fmt.Errorf("status %d is no JSON object", r.status)
	}
	return d, nil
}

// sub is a member that is an object, or nil, of which every read is empty.
func (d document) sub(name string) document {
	m, _ := d[name].(map[string]any)
	return m
}

// text is a member that is a string, or "".
func (d document) text(name string) string {
	s, _ := d[name].(string)
	return s
}

// yes is Python's and JavaScript's truth of a member.
func (d document) yes(name string) bool {
	switch v := d[name].(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err == nil && f != 0
	}
	return true
}

// id is a member that is a number or a text, as it goes into a path.
func (d document) id(name string) string {
	switch v := d[name].(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	}
	return ""
}

// qr returns the code of a /qr answer that says success, or "".
func (r reply) qr() string {
	d, err := r.json()
	if err != nil || r.status != 200 || !d.yes("success") {
		return ""
	}
	return d.sub("data").text("qrCode")
}

// codeAbsent reports whether the code is missing or null in an answer that says success.
func (d document) codeAbsent() bool { return d.sub("data")["qrCode"] == nil }

// showsQR is how the patient scripts decide from /status that asking is worth it.
func showsQR(data document, states ...string) bool {
	if data.yes("hasQR") {
		return true
	}
	status := strings.ToLower(data.text("status"))
	for _, s := range states {
		if status == s {
			return true
		}
	}
	return false
}

func quote(text string) string { return strconv.Quote(text) }
