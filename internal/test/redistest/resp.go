package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxValue limits bulk values and arrays, to fail early on a stream that is not RESP.
const maxValue = 64 << 20

var errNotRESP = errors.New("not RESP")

// readValue reads one RESP2 or RESP3 value and returns its bytes.
func readValue(r *bufio.Reader) ([]byte, error) {
	var raw bytes.Buffer
	err := copyValue(&raw, r)
	return raw.Bytes(), err
}

func copyValue(to *bytes.Buffer, r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	to.Write(line)
	kind, text := line[0], strings.TrimRight(string(line[1:]), "\r\n")
	switch kind {
	case '+', '-', ':', ',', '#', '_', '(':
		return nil
	case '$', '=', '!':
		n, err := length(text)
		if err != nil || n < 0 {
			return err
		}
		_, err = io.CopyN(to, r, int64(n)+2)
		return err
	case '*', '~', '>', '%':
		n, err := length(text)
		if kind == '%' {
			n *= 2
		}
		for range n {
			if err := copyValue(to, r); err != nil {
				return err
			}
		}
		return err
	default:
		return fmt.Errorf("%w: a value that begins with %q", errNotRESP, kind)
	}
}

// length returns -1 for the null of RESP2.
func length(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > maxValue {
		return 0, errNotRESP
	}
	return n, nil
}

// name returns the first word of a command, in lower case.
func name(command []byte) string {
	// *N CRLF $LEN CRLF word CRLF ...
	parts := bytes.SplitN(command, []byte("\r\n"), 4)
	if len(parts) < 4 {
		return ""
	}
	return strings.ToLower(string(parts[2]))
}
