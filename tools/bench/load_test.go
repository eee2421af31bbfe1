package main

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		status int // 0: an error
	}{
		"with a length":  {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200},
		"in chunks":      {"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", 202},
		"without a body": {"HTTP/1.1 204 No Content\r\n\r\n", 204},
		"an error":       {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503},
		"until the end":  {"HTTP/1.1 200 OK\r\n\r\nhello", 0},
		"cut":            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 0},
		"bad length":     {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", 0},
		"bad chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 0},
		"no HTTP":        {"SSH-2.0-OpenSSH_9.9 and more\r\n", 0},
		"no status":      {"HTTP/1.1 abc OK\r\n\r\n", 0},
		"nothing":        {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rest := "HTTP/1.1 418 next\r\nContent-Length: 0\r\n\r\n"
			answer := c.answer
			if c.status != 0 {
				answer += rest
			}
			r := bufio.NewReader(strings.NewReader(answer))
			status, err := readAnswer(r)
			if c.status == 0 {
				if err == nil {
					t.Errorf("it reads %d", status)
				}
				return
			}
			if status != c.status || err != nil {
				t.Errorf("status %d, %v; want %d", status, err, c.status)
			}
			if status, err := readAnswer(r); status != 418 || err != nil {
				t.Errorf("the next answer is %d, %v", status, err)
			}
		})
	}
}

// The load counts what the upstream answers, over all connections.
func TestLoad(t *testing.T) {
	t.Parallel()
	up, err := startUpstream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer up.close()
	got, err := load{to: up.url(), requests: [][]byte{get("/a", "key-a"), get("/b", "key-a")}, conns: 3, lasts: 30 * time.Millisecond}.run(t.Context())
	if err != nil || len(got.took) < 3 || got.wrong != 0 || got.rate() <= 0 {
		t.Errorf("%d answers, %d wrong, %v", len(got.took), got.wrong, err)
	}
	up.close()
	if _, err := (load{to: up.url(), requests: [][]byte{get("/a", "key-a")}, conns: 1, lasts: time.Second}).run(t.Context()); err == nil {
		t.Error("a load on nobody succeeds")
	}
}

// An answer that is not 200 fails the measurement, however fast it was.
func TestLoad_ErrorResponseFails(t *testing.T) {
	t.Parallel()
	e, err := startEngine(func(string) time.Duration { return onRelease })
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	_, err = load{to: e.url(), requests: [][]byte{get("/api/sessions/none/qr", "key-a")}, conns: 1, lasts: 20 * time.Millisecond}.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the error is %v, want one that names 404", err)
	}
}

func TestHasQR(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"success":true,"data":{"qrCode":"data:image/png;base64,AA=="}}`: true,
		`{"success":true,"data":{"qrCode":null}}`:                         false,
		`{"success":false,"code":"QR_NOT_READY"}`:                         false,
		`<html>`: false,
	} {
		if got := hasQR([]byte(body)); got != want {
			t.Errorf("%s: %t", body, got)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"bench-17": 17, "fresh-0": 0, "other": 0} {
		if got := number(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
