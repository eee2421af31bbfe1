package embedded_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

const (
	scaleKeys     = 5
	scaleSessions = 100                    // of each key
	maxLogSize    = 64 << 20               // bytes of the SQLite log on disk
	scanSpread    = 10 * time.Second       // in which all phones scan
	scalePoll     = 500 * time.Millisecond // between two lists
)

var runScale = flag.Bool("scale", false, "connect 500 phones at once")

// 500 phones of five keys scan within 10 s. Each makes 812 prekeys at its first login.
func TestScale_AllPhonesConnectAndReconnect(t *testing.T) {
	if !*runScale {
		t.Skip("it takes minutes and the whole machine: go test ./compat/embedded -run TestScale -args -scale")
	}
	srv := &whatsappsim.Server{}
	var names []string
	for k := range scaleKeys {
		names = append(names, fmt.Sprintf("k%d:key-%d-000000000000", k, k))
	}
	r := start(t, embedded.Config{
		DataDir: t.TempDir(), Keys: keys(t, strings.Join(names, ",")), Limits: embedded.Limits{Sessions: 2 * scaleSessions},
		HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv)),
	})
	s := &scale{rig: r, srv: srv}
	s.connect()
	began := time.Now()
	s.scan()
	if t.Failed() {
		t.FailNow()
	}
	s.awaitConnected(began, 5*time.Minute)
	t.Logf("all connected %v after the first scan, %+v, log %d MB", time.Since(began), srv.Stats(), s.logSize()>>20)
	if st := srv.Stats(); st.Logins != scaleKeys*scaleSessions || st.Pairings != scaleKeys*scaleSessions {
		t.Errorf("%+v, want one pairing and one login each", st)
	}
	if size := s.logSize(); size > maxLogSize {
		t.Errorf("the log has %d bytes", size)
	}
	r.stop()
	began = time.Now()
	s.rig = start(t, r.config)
	s.awaitConnected(began, time.Minute)
	t.Logf("all reconnected after %v", time.Since(began))
	began = time.Now()
	srv.CutAll()
	time.Sleep(scalePoll)
	s.awaitConnected(began, time.Minute)
	t.Logf("all back after a cut after %v", time.Since(began))
}

type scale struct {
	*rig
	srv *whatsappsim.Server
}

func (s *scale) key(k int) string { return fmt.Sprintf("key-%d-000000000000", k) }

func (s *scale) logSize() int64 {
	info, err := os.Stat(filepath.Join(s.config.DataDir, "qrgate.db-wal"))
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Size()
}

// forEach calls f for each session, those of one key in order.
func (s *scale) forEach(f func(key, id, user string)) {
	var all sync.WaitGroup
	for k := range scaleKeys {
		all.Go(func() {
			for n := range scaleSessions {
				f(s.key(k), fmt.Sprintf("session-%03d", n), fmt.Sprintf("55501%d%03d", k, n))
			}
		})
	}
	all.Wait()
}

func (s *scale) connect() {
	s.forEach(func(key, id, _ string) {
		s.callAs(key, "POST", "/api/sessions", `{"sessionId":"`+id+`","sessionName":"x"}`)
		s.callAs(key, "POST", "/api/sessions/"+id+"/connect")
	})
}

// scan reads each code as soon as there is one, and then scans all of them, spread over scanSpread.
func (s *scale) scan() {
	var mu sync.Mutex
	codes := map[string]string{}
	s.forEach(func(key, id, user string) {
		for {
			if a := s.callAs(key, "GET", "/api/sessions/"+id+"/qr"); a.status == 200 {
				code := decode(s.t, a.data()["qrCode"].(string))
				mu.Lock()
				codes[user] = code
				mu.Unlock()
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	var all sync.WaitGroup
	for user, code := range codes {
		all.Go(func() {
			if err := s.srv.Scan(context.Background(), code, whatsappsim.Account{User: user}); err != nil {
				s.t.Error(err)
			}
		})
		time.Sleep(scanSpread / time.Duration(len(codes)))
	}
	all.Wait()
}

// awaitConnected also checks that no session reports a cause.
func (s *scale) awaitConnected(began time.Time, limit time.Duration) {
	s.t.Helper()
	for {
		connected := 0
		for k := range scaleKeys {
			for page := 1; page <= (scaleSessions+99)/100; page++ {
				list, _ := s.callAs(s.key(k), "GET", fmt.Sprintf("/api/sessions?limit=100&page=%d", page)).data()["sessions"].([]any)
				for _, item := range list {
					status := item.(map[string]any)
					if status["status"] == "connected" {
						connected++
					}
				}
			}
		}
		if connected == scaleKeys*scaleSessions {
			return
		}
		if time.Since(began) > limit {
			s.t.Fatalf("%d of %d are connected after %v: %+v", connected, scaleKeys*scaleSessions, limit, s.srv.Stats())
		}
		time.Sleep(scalePoll)
	}
}
