package deploytest_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// rule returns the violations of a stack, in sentences.
type rule func(stack) []string

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// each applies a check to every service.
func each(s stack, check func(types.ServiceConfig) []string) []string {
	var out []string
	for _, name := range s.ServiceNames() {
		for _, what := range check(s.Services[name]) {
			out = append(out, name+" "+what)
		}
	}
	return out
}

// mountsExist: what is mounted from the repository is in it, and cannot be written to.
func mountsExist(s stack) []string {
	return each(s, func(c types.ServiceConfig) (out []string) {
		for _, v := range c.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			below, err := filepath.Rel(s.WorkingDir, v.Source)
			if err != nil || strings.HasPrefix(below, "..") {
				out = append(out, "mounts "+v.Source+" from outside of the repository")
			} else if _, err := os.Stat(v.Source); err != nil {
				out = append(out, "mounts "+below+", which does not exist")
			}
			if !v.ReadOnly {
				out = append(out, "may write to "+below)
			}
		}
		return out
	})
}

// imagesPinned: an image says its version to the last digit, and what is built here has a Dockerfile.
func imagesPinned(s stack) []string {
	exact := regexp.MustCompile(`(:v?\d+\.\d+|^postgres:\d+)\.\d+(-[a-z0-9.]+)?$`) // Postgres has two numbers
	return each(s, func(c types.ServiceConfig) []string {
		if c.Build != nil {
			if _, err := os.Stat(filepath.Join(c.Build.Context, c.Build.Dockerfile)); err != nil {
				return []string{"is built from a Dockerfile that does not exist"}
			}
			return nil
		}
		if !exact.MatchString(c.Image) {
			return []string{"has the image " + c.Image + " without an exact version"}
		}
		return nil
	})
}

// portsClosed: only the clients' port of qrgate is reachable from other machines.
func portsClosed(s stack) []string {
	return each(s, func(c types.ServiceConfig) (out []string) {
		for _, p := range c.Ports {
			if p.HostIP != "127.0.0.1" && (c.Name != gate || p.Target != 8080) {
				out = append(out, fmt.Sprintf("publishes %d beyond loopback", p.Target))
			}
		}
		if c.NetworkMode != "" {
			out = append(out, "shares a network of its own choosing: "+c.NetworkMode)
		}
		return out
	})
}

// healthChecked: each service has a health check with a start period.
func healthChecked(s stack) []string {
	return each(s, func(c types.ServiceConfig) []string {
		h := c.HealthCheck
		if h == nil || h.Disable || len(h.Test) < 2 || h.Interval == nil || h.Timeout == nil || h.Retries == nil {
			return []string{"has no complete health check"}
		}
		return nil
	})
}

// hardened: no more rights than needed, nothing written outside of volumes, bounded use of the machine.
func hardened(s stack) []string {
	return each(s, func(c types.ServiceConfig) (out []string) {
		for what, wrong := range map[string]bool{
			"has a writable root":             !c.ReadOnly,
			"may gain privileges":             !slices.Contains(c.SecurityOpt, "no-new-privileges:true"),
			"keeps capabilities":              !slices.Equal(c.CapDrop, []string{"ALL"}) || len(c.CapAdd) > 0,
			"is privileged":                   c.Privileged || c.Pid != "" || c.Ipc != "" || len(c.Devices) > 0,
			"stays down after a crash":        c.Restart != types.RestartPolicyUnlessStopped,
			"has unbounded logs":              c.Logging == nil || c.Logging.Options["max-size"] == "" || c.Logging.Options["max-file"] == "",
			"has unbounded resources":         !bounded(c),
			"runs as root":                    c.User == "root" || strings.HasPrefix(c.User, "0"),
			"writes a file into its own root": c.ReadOnly && len(c.Configs)+len(c.Secrets) > 0 && !fromFiles(s, c),
		} {
			if wrong {
				out = append(out, what)
			}
		}
		slices.Sort(out)
		return out
	})
}

func bounded(c types.ServiceConfig) bool {
	if c.Deploy == nil || c.Deploy.Resources.Limits == nil {
		return false
	}
	l := c.Deploy.Resources.Limits
	return l.NanoCPUs > 0 && l.MemoryBytes > 0 && l.Pids > 0
}

// fromFiles reports whether all secrets and configs of a service are files: Compose copies others into the
// container, which it refuses where the root is read-only.
func fromFiles(s stack, c types.ServiceConfig) bool {
	for _, x := range c.Secrets {
		if s.Secrets[x.Source].File == "" {
			return false
		}
	}
	for _, x := range c.Configs {
		if s.Configs[x.Source].File == "" {
			return false
		}
	}
	return true
}

// storeApart: only qrgate reaches the store, and the networks of the store and of the traces are internal.
func storeApart(s stack) []string {
	var out []string
	for network, want := range map[string][]string{"store": {gate, "redis"}, "traces": {"jaeger", gate}, "scrape": {"prometheus", gate}} {
		if !s.Networks[network].Internal {
			out = append(out, "the network "+network+" leads out")
		}
		if got := s.members(network); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			out = append(out, fmt.Sprintf("in the network %s are %v, not %v", network, got, want))
		}
	}
	if len(s.Services["redis"].Networks) != 1 {
		out = append(out, "Redis is in more networks than its own")
	}
	if len(s.members("default")) > 0 {
		out = append(out, "the default network is used")
	}
	slices.Sort(out)
	return out
}

// adminApart: the operators' port listens on qrgate's fixed address in the network of Prometheus, which
// Docker assigns to no other container.
func adminApart(s stack) []string {
	addr, err := netip.ParseAddrPort(environment(s.Services[gate])["QRGATE_ADMIN_LISTEN"])
	if err != nil {
		return []string{"QRGATE_ADMIN_LISTEN is no address: every network could reach it"}
	}
	own := s.Services[gate].Networks["scrape"]
	if own == nil || own.Ipv4Address != addr.Addr().String() {
		return []string{"QRGATE_ADMIN_LISTEN is not qrgate's address in the network scrape"}
	}
	pools := s.Networks["scrape"].Ipam.Config
	if len(pools) != 1 {
		return []string{"the network scrape has no subnet of its own"}
	}
	subnet, err1 := netip.ParsePrefix(pools[0].Subnet)
	dynamic, err2 := netip.ParsePrefix(pools[0].IPRange)
	if err1 != nil || err2 != nil || !subnet.Contains(addr.Addr()) || dynamic.Contains(addr.Addr()) || !subnet.Contains(dynamic.Addr()) {
		return []string{"Docker may assign qrgate's address to another container"}
	}
	return nil
}
