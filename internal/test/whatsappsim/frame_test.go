package whatsappsim

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFrame_Intro(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in, want, rest string
		err            error
	}{
		"plain":         {in: "WA\x06\x03rest", want: "WA\x06\x03", rest: "rest"},
		"with routing":  {in: "ED\x00\x01\x00\x00\x05routeWA\x06\x03rest", want: "WA\x06\x03", rest: "rest"},
		"routing alone": {in: "ED\x00\x01\x00\x00\x05route", err: io.EOF},
		"routing, huge": {in: "ED\x00\x01\xff\xff\xff", err: errFrameSize},
		"another":       {in: "EDxx\x00\x00\x00GET ", err: errIntro},
		"cut":           {in: "WA", err: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := iotest.OneByteReader(strings.NewReader(tt.in)) // however the client cuts it
			got, err := readIntro(r)
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Fatalf("%q, %v", got, err)
			}
			if rest, _ := io.ReadAll(r); err == nil && string(rest) != tt.rest {
				t.Errorf("left %q", rest)
			}
		})
	}
}

func TestFrame_ReadWrite(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "x", strings.Repeat("y", 70_000)} {
		got, err := readFrame(strings.NewReader(string(frame([]byte(body)))))
		if err != nil || string(got) != body {
			t.Errorf("%d bytes became %d: %v", len(body), len(got), err)
		}
	}
	if _, err := readFrame(strings.NewReader("\x04\x00\x01")); !errors.Is(err, errFrameSize) {
		t.Errorf("a byte too many: %v", err)
	}
}
