package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/secret"
)

// Keys of the drill. They open nothing anywhere else.
const (
	probeKey = "drill-probe-key"
	userKey  = "drill-user-key"
)

// addresses are where everybody listens.
type addresses struct{ admin, prometheus, alertmanager, pager, redis string }

// stage is everything that takes part. It runs from build to close.
type stage struct {
	settings
	programs programs
	dir      string
	at       addresses
	engine   *engine
	gate     *app.App
	redis    *process
	pager    *pager

	prometheus, alertmanager string // their URLs
	ends                     []func()
}

// build starts everything, or says what is missing.
func build(ctx context.Context, s settings) (*stage, error) {
	found, err := installed()
	if err != nil {
		return nil, err
	}
	st := &stage{settings: s, programs: found}
	for _, step := range []func(context.Context) error{st.ground, st.startRedis, st.startGate, st.startPager, st.backfill, st.startWatch, st.scraped} {
		if err := step(ctx); err != nil {
			st.close()
			return nil, err
		}
	}
	return st, nil
}

// close ends everything, the last first.
func (st *stage) close() {
	for i := len(st.ends) - 1; i >= 0; i-- {
		st.ends[i]()
	}
}

func (st *stage) ground(context.Context) (err error) {
	if st.dir, err = os.MkdirTemp("", "drill-"); err != nil {
		return err
	}
	st.ends = append(st.ends, func() { _ = os.RemoveAll(st.dir) })
	for _, addr := range []*string{&st.at.prometheus, &st.at.alertmanager, &st.at.redis} {
		if *addr, err = freePort(); err != nil {
			return err
		}
	}
	if st.engine, err = newEngine(); err != nil {
		return err
	}
	st.ends = append(st.ends, func() { _ = st.engine.down(); st.engine.Close() })
	return nil
}

// startRedis starts it, the first time or again, at the same place.
func (st *stage) startRedis(ctx context.Context) error {
	_, port, err := net.SplitHostPort(st.at.redis)
	if err != nil {
		return err
	}
	again := st.redis != nil
	st.redis, err = start(ctx, accepts(st.at.redis), st.programs.redis, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", st.dir)
	if err == nil && !again {
		st.ends = append(st.ends, func() { st.redis.stop() })
	}
	return err
}

func (st *stage) startGate(context.Context) (err error) {
	st.gate, err = app.New(app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", EngineURL: &url.URL{Scheme: "http", Host: st.engine.addr},
		QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond, DataDir: st.dir,
		RedisURL: secret.NewSecret("redis://" + st.at.redis), Secret: secret.NewSecret("the drill's own secret"),
		ProbeKey: secret.NewSecret(probeKey), ProbeInterval: st.pace().of(st.Interval),
		Version: "drill", Logger: slog.New(slog.DiscardHandler), Out: io.Discard,
	})
	if err != nil {
		return err
	}
	admin, err := url.Parse(st.gate.AdminURL())
	if err != nil {
		return err
	}
	st.at.admin = admin.Host
	st.background(func(ctx context.Context) { _ = st.gate.Run(ctx) })
	return nil
}

// background runs something until the stage is closed, and waits for its end then.
func (st *stage) background(run func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	st.ends = append(st.ends, func() { stop(); <-done })
}

func (st *stage) startPager(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	st.pager, st.at.pager = newPager(), l.Addr().String()
	server := &http.Server{Handler: st.pager, ReadHeaderTimeout: 5 * time.Second}
	st.background(func(ctx context.Context) {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		_ = server.Serve(l)
	})
	return nil
}

// startWatch starts whoever looks and whoever tells.
func (st *stage) startWatch(ctx context.Context) error {
	made, err := configure(st.dir, st.settings, st.at)
	if err != nil {
		return err
	}
	st.prometheus, st.alertmanager = "http://"+st.at.prometheus, "http://"+st.at.alertmanager
	alertmanager, err := start(ctx, answers(st.alertmanager+"/-/ready"), st.programs.alertmanager,
		"--config.file="+made.alertmanager, "--storage.path="+st.dir+"/alertmanager", "--web.listen-address="+st.at.alertmanager, "--cluster.listen-address=")
	if err != nil {
		return err
	}
	st.ends = append(st.ends, alertmanager.stop)
	prometheus, err := start(ctx, answers(st.prometheus+"/-/ready"), st.programs.prometheus,
		"--config.file="+made.prometheus, "--storage.tsdb.path="+st.dir+"/prometheus", "--web.listen-address="+st.at.prometheus,
		fmt.Sprintf("--rules.alert.resend-delay=%s", st.pace().of(time.Minute)))
	if err != nil {
		return err
	}
	st.ends = append(st.ends, prometheus.stop)
	return nil
}

// scraped waits until Prometheus has seen qrgate, so that nothing is amiss at the start.
func (st *stage) scraped(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return until(ctx, 200*time.Millisecond, func() bool {
		var up struct {
			Data struct{ Result []any }
		}
		return ask(ctx, st.prometheus+"/api/v1/query?query=up%7Bjob%3D%22qrgate%22%7D%3D%3D1", &up) == nil && len(up.Data.Result) > 0
	})
}

// forget makes the engine lose its sockets, so that nobody lives on a QR from before.
func (st *stage) forget() error {
	st.engine.Restart()
	return nil
}

var errNoProbe = errors.New("qrgate's probe did not succeed before anything was broken")
