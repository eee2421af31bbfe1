package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// patience is how long a program may take to serve, and to stop.
const patience = 15 * time.Second

// process is a program that is measured, or that what is measured needs.
type process struct {
	greeting
	cmd  *exec.Cmd
	stop func()
}

// before is what a front stands before, and how it is told.
type before struct {
	engine string // its URL
	redis  string // URL; empty: memory
	trace  string // URL of an OTLP receiver; empty: no tracing
}

// start starts this program again as a front, and waits until it serves.
func (b *bench) start(ctx context.Context, kind string, x before) (*process, error) {
	args := []string{"front", kind, "--engine", x.engine}
	if x.redis != "" {
		args = append(args, "--redis", x.redis)
	}
	cmd := exec.CommandContext(ctx, b.self, args...)
	cmd.Env, cmd.Stderr, cmd.WaitDelay = environment(b.env, x.trace), b.err, patience
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = in.Close
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stop: sync.OnceFunc(func() { end(cmd, in.Close) })}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.greeting)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("the %s did not start: %w", kind, err)
	}
	return p, nil
}

// environment is env without what would set a front up by accident, and with one trace in ten if wanted.
func environment(env []string, trace string) []string {
	var out []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, "OTEL_") {
			out = append(out, entry)
		}
	}
	if trace != "" {
		out = append(out, "OTEL_EXPORTER_OTLP_ENDPOINT="+trace, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1")
	}
	return out
}

// end asks a process to end and waits for it; what does not listen is killed.
func end(cmd *exec.Cmd, ask func() error) {
	_ = ask()
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
}

// program starts an installed program that listens on addr, and waits until it does.
func (b *bench) program(ctx context.Context, addr, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = io.Discard, &said, patience
	ask := func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Cancel = ask // killed, nginx would leave its workers behind
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{greeting{URL: "http://" + addr}, cmd, sync.OnceFunc(func() { end(cmd, ask) })}
	if err := listens(ctx, addr); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w: %s", name, err, said.String())
	}
	return p, nil
}
