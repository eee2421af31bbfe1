package enginesim_test

import (
	"strings"
	"testing"

	"qrgate/internal/test/enginesim"
)

func TestEngine_ZeroValueHasQRAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		created := c.want(c.create("one"), 201)
		session, _ := created.body.Data["session"].(map[string]any)
		if session["id"] != 1.0 || session["status"] != "disconnected" {
			t.Errorf("created %v", session)
		}
		if got := c.want(c.connect("one"), 200).body.Data["status"]; got != "connecting" {
			t.Errorf("connect says %v", got)
		}
		got := c.want(c.qr("1"), 200)
		image, _ := got.body.Data["qrCode"].(string)
		if !strings.HasPrefix(image, "data:image/png;base64,iVBOR") {
			t.Errorf("the QR is %.40q", image)
		}
		if got.body.Data["status"] != "qr_code" || c.state("1") != "qr_code" {
			t.Error("the session does not show a code")
		}
	})
}

func TestIncident_Returns500UntilQR(t *testing.T) {
	t.Parallel()
	bubble(t, enginesim.Incident(), func(c *testClient) {
		c.started()
		sleep(3)
		got := c.want(c.qr("1"), 500)
		if got.body.Code != "QR_GENERATION_ERROR" || got.body.Error != "Error obteniendo código QR" {
			t.Errorf("got %s", got.text)
		}
		if len(got.text) != 123 {
			t.Errorf("the error has %d bytes, recorded ones have 123", len(got.text))
		}
		if c.state("1") != "connecting" {
			t.Error("the session is not connecting")
		}
		sleep(1)
		c.want(c.qr("1"), 200)
	})
}

func TestLinkUnlink(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.want(c.create("one"), 201)
		if c.engine.Link("one") == nil {
			t.Error("a session without a code was linked")
		}
		c.connect("1")
		if err := c.engine.Link("one"); err != nil {
			t.Fatal(err)
		}
		got := c.want(c.status("1"), 200).body.Data
		if got["status"] != "connected" || got["isConnected"] != true || got["phoneNumber"] != "55501001" {
			t.Errorf("linked: %v", got)
		}
		c.want(c.qr("1"), 500)
		c.want(c.connect("1"), 200)
		if c.state("1") != "connected" {
			t.Error("a connect dropped the phone")
		}
		if err := c.engine.Unlink("1"); err != nil {
			t.Fatal(err)
		}
		if c.state("1") != "disconnected" {
			t.Error("the phone is still there")
		}
	})
}
