package main

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
)

var errAnswer = errors.New("this is no HTTP answer")

// readAnswer reads one answer to a GET, drops its body and returns its status.
func readAnswer(r *bufio.Reader) (int, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, errAnswer
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, errAnswer
	}
	length, chunked, err := readHead(r)
	switch {
	case err != nil:
		return 0, err
	case chunked:
		return status, dropChunks(r)
	case length < 0 && status != 204 && status != 304:
		return 0, errAnswer // a body that ends with the connection; nobody measured here sends one
	}
	_, err = r.Discard(max(length, 0))
	return status, err
}

// readHead reads the header fields and tells how long the body is; -1 when they do not say.
func readHead(r *bufio.Reader) (length int, chunked bool, err error) {
	length = -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, false, errAnswer
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

// dropChunks reads a chunked body to its end.
func dropChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return errAnswer
		}
		if size == 0 {
			_, _, err := readHead(r) // the trailer is shaped like a head
			return err
		}
		if _, err := r.Discard(int(size) + len("\r\n")); err != nil {
			return err
		}
	}
}
