package webhook_test

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"qrgate/internal/secret"
	"qrgate/internal/webhook"
)

// The guard of webhook URLs accepts no address of this host or its networks, and no error repeats the URL. The strict
// reader is [net.IP], which knows nothing of the guard.
func FuzzNewTarget(f *testing.F) {
	for _, at := range []string{
		"https://crm.example/hook", "http://crm.example", "https://user:pw@crm.example", "https://127.0.0.1", "https://[::1]:8443/",
		"https://[fe80::1%25eth0]/", "https://[::ffff:10.0.0.1]", "https://[::7f00:1]", "https://crm.example:99999", "https:///a",
		"https://169.254.169.254/latest", "https://[64:ff9b::a9fe:a9fe]", "HTTPS://[2606:2800:220:1::1]", "https://0x7f.1/",
	} {
		f.Add(at, []byte{127, 0, 0, 1})
	}
	f.Add("https://a.example", []byte(net.ParseIP("fec0::1")))
	f.Fuzz(func(t *testing.T, at string, raw []byte) {
		_, err := webhook.NewTarget(at, secret.Secret{}, nil, false)
		if u, parseErr := url.Parse(at); err == nil {
			isPlain := parseErr == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
			if ip := net.ParseIP(u.Hostname()); !isPlain || ip != nil && isLocal(ip) {
				t.Errorf("%q was accepted", at)
			}
			if _, err := webhook.NewTarget(at, secret.Secret{}, nil, true); err != nil {
				t.Errorf("%q is accepted only where private addresses are not: %v", at, err)
			}
		} else if len(at) > 12 && strings.Contains(err.Error(), at) {
			t.Errorf("the error has the URL: %v", err)
		}
		if addr, ok := netip.AddrFromSlice(raw); ok && webhook.IsPublic(addr) && isLocal(net.IP(raw)) {
			t.Errorf("%v would be dialed", addr)
		}
	})
}

// isLocal reports whether an address is not on the public Internet, or contains an IPv4 address that is not.
func isLocal(ip net.IP) bool {
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return true
	}
	if v4 := ip.To4(); v4 != nil {
		return v4[0] == 0 || v4[0] >= 240 || v4[0] == 100 && v4[1]&0xc0 == 64
	}
	isSiteLocal := ip[0] == 0xfe && ip[1]&0xc0 == 0xc0
	isCompatible := allZero(ip[:12]) || allZero(ip[:8]) && ip[8] == 0xff && ip[9] == 0xff // ::a.b.c.d, ::ffff:0:a.b.c.d
	isNAT64 := ip[0] == 0 && ip[1] == 0x64 && ip[2] == 0xff && ip[3] == 0x9b
	is6to4 := ip[0] == 0x20 && ip[1] == 0x02
	return isSiteLocal || isCompatible || isNAT64 || is6to4
}

func allZero(b []byte) bool { return strings.Trim(string(b), "\x00") == "" }
