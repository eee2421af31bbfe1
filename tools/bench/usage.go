package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit in which Linux tells the time that a process was on a processor (USER_HZ).
const tick = 10 * time.Millisecond

// cpu is the processor time of a process and its children so far; 0 where /proc does not tell.
func cpu(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	took := cpuIn(string(stat))
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		children, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				took += cpu(n)
			}
		}
	}
	return took
}

// cpuIn reads utime and stime, fields 14 and 15 of /proc/PID/stat; the second may hold blanks and parentheses.
func cpuIn(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0
	}
	user, _ := strconv.Atoi(fields[utime])
	system, _ := strconv.Atoi(fields[stime])
	return time.Duration(user+system) * tick
}

// rss is the resident memory of a process in bytes; 0 where /proc does not tell.
func rss(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return rssIn(string(status))
}

func rssIn(status string) int64 {
	_, rest, _ := strings.Cut(status, "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "kB")), 10, 64)
	return kib << 10
}

// gauge reads one metric without labels from the operators' port of a gateway.
func (p *process) gauge(ctx context.Context, name string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("qrgate has no metric %s", name)
}

// memory is what a gateway takes, in bytes.
type memory struct {
	resident, stacks, heap float64
}

// memory asks the kernel and qrgate's Go runtime.
func (p *process) memory(ctx context.Context) (m memory, err error) {
	m.resident = float64(rss(p.cmd.Process.Pid))
	if m.stacks, err = p.gauge(ctx, "go_memstats_stack_inuse_bytes"); err != nil {
		return m, err
	}
	m.heap, err = p.gauge(ctx, "go_memstats_heap_alloc_bytes")
	return m, err
}
