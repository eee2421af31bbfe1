package deploytest_test

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// settingsExist: every QRGATE_* that a service is given is a setting of qrgate.
func settingsExist(s stack) []string {
	return each(s, func(c types.ServiceConfig) (out []string) {
		for name := range environment(c) {
			if strings.HasPrefix(name, "QRGATE_") && !slices.Contains(s.settings, strings.TrimSuffix(name, "_FILE")) {
				out = append(out, "has "+name+", which is no setting")
			}
		}
		return out
	})
}

// secretName fits names of what must not be known.
var secretName = regexp.MustCompile(`(?i)(passw|secret|_keys?$|token|auth$)`)

// secretsDir is where Compose mounts secrets.
const secretsDir = "/run/secrets/"

// secretsMounted: a variable that names the file of a secret names one that its service is given.
func secretsMounted(s stack) []string {
	return each(s, func(c types.ServiceConfig) (out []string) {
		for name, value := range environment(c) {
			secret, isFile := strings.CutPrefix(value, secretsDir)
			isGiven := slices.ContainsFunc(c.Secrets, func(x types.ServiceSecretConfig) bool { return x.Source == secret })
			if isFile != strings.HasSuffix(name, "_FILE") || isFile && (!isGiven || s.Secrets[secret].File == "") {
				out = append(out, "has "+name+", which leads to no secret")
			}
		}
		return out
	})
}

// nothingSecret: what is secret comes from outside and has no default.
func nothingSecret(s stack) []string {
	empty := regexp.MustCompile(`^\$\{[A-Z_]+(:-|:\?[^}]+)\}$`)
	userinfo := regexp.MustCompile(`://[^/@:]*:([^@]*)@`)
	var out []string
	services, _ := s.raw["services"].(map[string]any)
	for service, v := range services {
		c, _ := v.(map[string]any)
		env, _ := c["environment"].(map[string]any)
		for name, v := range env {
			value := fmt.Sprint(v)
			if strings.HasPrefix(value, secretsDir) {
				continue
			}
			if secretName.MatchString(name) && !empty.MatchString(value) {
				out = append(out, service+" has a secret in "+name)
			}
			if m := userinfo.FindStringSubmatch(value); m != nil && !empty.MatchString(m[1]) {
				out = append(out, service+" has a password in "+name)
			}
		}
		if strings.Contains(strings.ToLower(fmt.Sprint(c["command"])), "passw") {
			out = append(out, service+" has a password in its command, where every process sees it")
		}
	}
	slices.Sort(out)
	return out
}

// addressesExist: a URL in the environment of a service leads to another one that it meets, on a port that
// that one serves.
func addressesExist(s stack) []string {
	return each(s, func(c types.ServiceConfig) (out []string) {
		for name, value := range environment(c) {
			u, err := url.Parse(value)
			if err != nil || u.Host == "" || u.Hostname() == "localhost" {
				continue
			}
			if why := s.unreachable(c.Name, u.Host); why != "" {
				out = append(out, name+" "+why)
			}
		}
		return out
	})
}

// unreachable says why one service cannot call HOST:PORT; "" if it can.
func (s stack) unreachable(from, hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return "names no port: " + hostport
	}
	if host == "localhost" || host == "127.0.0.1" {
		host = from
	}
	to, known := s.Services[host]
	switch {
	case !known:
		return "leads to " + host + ", which is no service"
	case host != from && !s.meet(from, host):
		return "leads to " + host + ", which is in no network with " + from
	case !serves(to, port):
		return "leads to port " + port + " of " + host + ", where no service listens"
	}
	return ""
}
