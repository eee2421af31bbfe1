package redistest

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestReadValue_ValidAndInvalid(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"+OK\r\n", "-ERR no\r\n", ":-12\r\n", "$-1\r\n", "$0\r\n\r\n", "$4\r\n\r\n*1\r\n", "*-1\r\n", "*0\r\n",
		"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "%1\r\n+proto\r\n:3\r\n", ">2\r\n+message\r\n$1\r\na\r\n", "_\r\n",
		"#t\r\n", ",1.5\r\n", "~1\r\n:1\r\n", "=5\r\ntxt:a\r\n", "(123\r\n", "!3\r\nERR\r\n",
	} {
		r := bufio.NewReader(strings.NewReader(value + "+rest\r\n"))
		if got, err := readValue(r); err != nil || string(got) != value {
			t.Errorf("read %q, %v; want %q", got, err, value)
		}
		if rest, _ := r.ReadString('\n'); rest != "+rest\r\n" {
			t.Errorf("after %q comes %q", value, rest)
		}
	}
	for _, value := range []string{"", "+OK", "$4\r\nabc", "*2\r\n:1\r\n", "$x\r\n", "$-2\r\n", "$99999999999\r\n", "?\r\n"} {
		if got, err := readValue(bufio.NewReader(strings.NewReader(value))); err == nil {
			t.Errorf("%q was read as %q", value, got)
		}
	}
}

func TestCommandName(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"*1\r\n$4\r\nPING\r\n":               "ping",
		"*2\r\n$3\r\nGet\r\n$1\r\nk\r\n":     "get",
		"PING\r\n":                           "",
		"*0\r\n":                             "",
		"*2\r\n$7\r\nEVALSHA\r\n$1\r\na\r\n": "evalsha",
	} {
		if got := name([]byte(command)); got != want {
			t.Errorf("the name of %q is %q, want %q", command, got, want)
		}
	}
}

// readValue returns the bytes from the start of the stream.
func FuzzReadValue(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n%1\r\n:1\r\n_\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, err := readValue(bufio.NewReader(bytes.NewReader(stream)))
		if err == nil && !bytes.HasPrefix(stream, got) {
			t.Errorf("%q was read from %q", got, stream)
		}
	})
}
