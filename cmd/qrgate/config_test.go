package main

import (
	"net/url"
	"testing"
)

func TestIsOwnAddress(t *testing.T) {
	for _, c := range []struct {
		listen, engine string
		want           bool
	}{
		{":8080", "http://localhost:8080", true},
		{":8080", "http://127.0.0.1:8080", true},
		{":8080", "http://[::1]:8080/x", true},
		{"0.0.0.0:8080", "http://127.0.0.1:8080", true},
		{"[::]:8080", "http://0.0.0.0:8080", true},
		{"127.0.0.1:8080", "http://localhost:8080", true},
		{"localhost:8080", "http://127.0.0.1:8080", true},
		{"10.0.0.1:8080", "http://10.0.0.1:8080", true},
		{":80", "http://localhost", true},
		{":8080", "http://localhost:8084", false},
		{":8080", "http://engine:8080", false},
		{":8080", "http://10.0.0.1:8080", false},
		{"127.0.0.2:8080", "http://127.0.0.1:8080", false},
		{"10.0.0.1:8080", "http://localhost:8080", false},
		{":80", "https://localhost", false},
		{"invalid", "http://invalid", false},
	} {
		u, err := url.Parse(c.engine)
		if err != nil {
			t.Fatal(err)
		}
		if got := isOwnAddress(c.listen, u); got != c.want {
			t.Errorf("listening on %s, engine %s: %t", c.listen, c.engine, got)
		}
	}
}
