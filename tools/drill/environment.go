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

// Keys that are valid only in the drill.
const (
	probeKey = "drill-probe-key"
	userKey  = "drill-user-key"
)

// addresses are the listen addresses.
type addresses struct{ admin, prometheus, alertmanager, pager, redis string }

// environment is qrgate and everything around it. It runs from build to close.
type environment struct {
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

// build starts everything. Its error names missing programs.
func build(ctx context.Context, s settings) (*environment, error) {
	found, err := installed()
	if err != nil {
		return nil, err
	}
	env := &environment{settings: s, programs: found}
	for _, step := range []func(context.Context) error{env.ground, env.startRedis, env.startGate, env.startPager, env.backfill, env.startWatch, env.scraped} {
		if err := step(ctx); err != nil {
			env.close()
			return nil, err
		}
	}
	return env, nil
}

// close stops everything, in reverse order.
func (env *environment) close() {
	for i := len(env.ends) - 1; i >= 0; i-- {
		env.ends[i]()
	}
}

func (env *environment) ground(context.Context) (err error) {
	if env.dir, err = os.MkdirTemp("", "drill-"); err != nil {
		return err
	}
	env.ends = append(env.ends, func() { _ = os.RemoveAll(env.dir) })
	for _, addr := range []*string{&env.at.prometheus, &env.at.alertmanager, &env.at.redis} {
		if *addr, err = freePort(); err != nil {
			return err
		}
	}
	if env.engine, err = newEngine(); err != nil {
		return err
	}
	env.ends = append(env.ends, func() { _ = env.engine.down(); env.engine.Close() })
	return nil
}

// startRedis starts Redis, also again, always on the same port.
func (env *environment) startRedis(ctx context.Context) error {
	_, port, err := net.SplitHostPort(env.at.redis)
	if err != nil {
		return err
	}
	again := env.redis != nil
	env.redis, err = start(ctx, accepts(env.at.redis), env.programs.redis, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", env.dir)
	if err == nil && !again {
		env.ends = append(env.ends, func() { env.redis.stop() })
	}
	return err
}

func (env *environment) startGate(context.Context) (err error) {
	env.gate, err = app.New(app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", EngineURL: &url.URL{Scheme: "http", Host: env.engine.addr},
		QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond, DataDir: env.dir,
		RedisURL: secret.NewSecret("redis://" + env.at.redis), Secret: secret.NewSecret("the drill's own secret"),
		ProbeKey: secret.NewSecret(probeKey), ProbeInterval: env.timeScale().of(env.Interval),
		Version: "drill", Logger: slog.New(slog.DiscardHandler), Out: io.Discard,
	})
	if err != nil {
		return err
	}
	admin, err := url.Parse(env.gate.AdminURL())
	if err != nil {
		return err
	}
	env.at.admin = admin.Host
	env.background(func(ctx context.Context) { _ = env.gate.Run(ctx) })
	return nil
}

// background runs a function until the environment is closed, which waits for its end.
func (env *environment) background(run func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	env.ends = append(env.ends, func() { stop(); <-done })
}

func (env *environment) startPager(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.pager, env.at.pager = newPager(), l.Addr().String()
	server := &http.Server{Handler: env.pager, ReadHeaderTimeout: 5 * time.Second}
	env.background(func(ctx context.Context) {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		_ = server.Serve(l)
	})
	return nil
}

// startWatch starts Prometheus and Alertmanager.
func (env *environment) startWatch(ctx context.Context) error {
	made, err := configure(env.dir, env.settings, env.at)
	if err != nil {
		return err
	}
	env.prometheus, env.alertmanager = "http://"+env.at.prometheus, "http://"+env.at.alertmanager
	alertmanager, err := start(ctx, answers(env.alertmanager+"/-/ready"), env.programs.alertmanager,
		"--config.file="+made.alertmanager, "--storage.path="+env.dir+"/alertmanager", "--web.listen-address="+env.at.alertmanager, "--cluster.listen-address=")
	if err != nil {
		return err
	}
	env.ends = append(env.ends, alertmanager.stop)
	prometheus, err := start(ctx, answers(env.prometheus+"/-/ready"), env.programs.prometheus,
		"--config.file="+made.prometheus, "--storage.tsdb.path="+env.dir+"/prometheus", "--web.listen-address="+env.at.prometheus,
		fmt.Sprintf("--rules.alert.resend-delay=%s", env.timeScale().of(time.Minute)))
	if err != nil {
		return err
	}
	env.ends = append(env.ends, prometheus.stop)
	return nil
}

// scraped waits until Prometheus has seen qrgate, so that nothing is amiss at the start.
func (env *environment) scraped(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return until(ctx, 200*time.Millisecond, func() bool {
		var up struct {
			Data struct{ Result []any }
		}
		return ask(ctx, env.prometheus+"/api/v1/query?query=up%7Bjob%3D%22qrgate%22%7D%3D%3D1", &up) == nil && len(up.Data.Result) > 0
	})
}

// forget makes the engine lose its sockets, so that nobody lives on a QR from before.
func (env *environment) forget() error {
	env.engine.Restart()
	return nil
}

var errNoProbe = errors.New("qrgate's probe did not succeed before the fault")
