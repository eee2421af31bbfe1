package whatsappsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// UnmarshalJSON reads a fault as the type's comment describes.
func (f *Fault) UnmarshalJSON(b []byte) error {
	type plain Fault
	in := struct {
		*plain
		PairDelay, CutAfterRefs, RefreshAfterRefs, UnlinkAfter duration
	}{plain: (*plain)(f)}
	*f = Fault{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("wasim: fault: %w", err)
	}
	f.PairDelay = time.Duration(in.PairDelay)
	f.CutAfterRefs = time.Duration(in.CutAfterRefs)
	f.RefreshAfterRefs = time.Duration(in.RefreshAfterRefs)
	f.UnlinkAfter = time.Duration(in.UnlinkAfter)
	return nil
}

// duration reads "2s" as well as nanoseconds.
type duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return json.Unmarshal(b, (*int64)(d))
	}
	v, err := time.ParseDuration(text)
	*d = duration(v)
	return err
}
