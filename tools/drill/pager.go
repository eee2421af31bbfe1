package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// message is a notification of Alertmanager to a receiver.
type message struct {
	At       time.Time `json:"-"`
	Receiver string    `json:"-"` // pager, chat or deadmansswitch: the path that was called
	Status   string    `json:"status"`
	Alerts   []alert   `json:"alerts"`
}

// alert is one alert of a notification.
type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// name returns the alert's name.
func (a alert) name() string { return a.Labels["alertname"] }

// pager records every message to every receiver.
type pager struct {
	mu   sync.Mutex
	list []message
}

func newPager() *pager { return &pager{} }

// ServeHTTP receives a webhook of Alertmanager.
func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := message{At: time.Now(), Receiver: strings.Trim(r.URL.Path, "/")}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m); err != nil {
		http.Error(w, "no message of Alertmanager", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, m)
}

// since returns the messages from the n-th on.
func (p *pager) since(n int) []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]message(nil), p.list[min(n, len(p.list)):]...)
}
