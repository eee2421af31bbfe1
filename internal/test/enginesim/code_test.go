package enginesim_test

import (
	"context"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"qrgate/internal/test/enginesim"
)

func TestRotation_CodesExpireAndConnectEnds(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{QRDelay: 4 * time.Second, Rotation: enginesim.WhatsAppRotation()}
	bubble(t, engine, func(c *testClient) {
		c.started()
		sleep(4)
		for i, life := range enginesim.WhatsAppRotation() {
			got := c.engine.Snapshot()[0]
			if got.Sequence != i+1 || got.Phase != enginesim.Showing {
				t.Errorf("code %d: sequence %d, %s", i+1, got.Sequence, got.Phase)
			}
			sleep(life.Seconds() - 0.001)
			if last := c.engine.Snapshot()[0]; last.Code != got.Code {
				t.Errorf("code %d was replaced before its time", i+1)
			}
			sleep(0.001)
		}
		if c.state("1") != "disconnected" {
			t.Error("the connect is not over after its last code")
		}
		c.want(c.qr("1"), 500)
		item := c.do("GET", "/api/sessions/1", "").body.Data["session"].(map[string]any)
		if item["qrCode"] != nil || item["qrCodeGeneratedAt"] != "2000-01-01T00:02:24.000Z" {
			t.Errorf("the database keeps %v of %v", item["qrCode"], item["qrCodeGeneratedAt"])
		}
		c.connect("1")
		sleep(4)
		if got := c.engine.Snapshot()[0].Sequence; got != 7 {
			t.Errorf("the next connect begins with code %d", got)
		}
	})
}

func TestRotation_NoneContinuesWithoutEnd(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.started()
		first := c.engine.Snapshot()[0].Code
		sleep(59.9)
		if c.engine.Snapshot()[0].Code != first {
			t.Error("the code changed within its life")
		}
		sleep(3600)
		if got := c.engine.Snapshot()[0]; got.Sequence != 61 || got.Code == first {
			t.Errorf("after an hour: sequence %d", got.Sequence)
		}
	})
}

func TestRotation_ExpiresAtLaterThanRotation(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}
	bubble(t, engine, func(c *testClient) {
		c.started()
		sleep(60)
		if got := c.qr("1").body.Data["expiresAt"]; got != "2000-01-01T00:02:00.000Z" {
			t.Errorf("the second code expires at %v", got)
		}
		item := c.do("GET", "/api/sessions/1", "").body.Data["session"].(map[string]any)
		if item["qrCodeGeneratedAt"] != "2000-01-01T00:01:00.000Z" || item["qrCodeExpiresAt"] != "2000-01-01T00:02:00.000Z" {
			t.Errorf("listed from %v to %v", item["qrCodeGeneratedAt"], item["qrCodeExpiresAt"])
		}
	})
}

func TestBegin_SuppliesCodes(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	begin := func(ctx context.Context, session string, socket *enginesim.Socket) {
		socket.Show(session + "-a")
		select {
		case <-time.After(time.Minute):
			socket.Show(session + "-b")
		case <-ctx.Done():
		}
		<-ctx.Done()
		socket.Show("too late")
		ended <- ctx.Err()
	}
	bubble(t, &enginesim.Engine{Begin: begin, QRDelay: 4 * time.Second}, func(c *testClient) {
		c.started()
		sleep(3)
		c.want(c.qr("1"), 500)
		sleep(1)
		c.want(c.qr("1"), 200)
		if got := c.engine.Snapshot()[0]; got.Code != "one-a" || got.Sequence != 1 {
			t.Errorf("first code %q, %d", got.Code, got.Sequence)
		}
		sleep(57)
		if got := c.engine.Snapshot()[0]; got.Code != "one-b" || got.Sequence != 2 {
			t.Errorf("second code %q, %d", got.Code, got.Sequence)
		}
		c.want(c.do("DELETE", "/api/sessions/1", ""), 200)
		if err := <-ended; err == nil {
			t.Error("the connect's context still lives")
		}
	})
}

func TestSocket_ReportsChangePhase(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		report func(*enginesim.Socket)
		want   enginesim.Phase
	}{
		"linked": {func(s *enginesim.Socket) { s.Linked("5550100") }, enginesim.Linked},
		"failed": {(*enginesim.Socket).Failed, enginesim.Broken},
		"closed": {(*enginesim.Socket).Closed, enginesim.Lost},
		"shown":  {func(s *enginesim.Socket) { s.Show("code") }, enginesim.Showing},
		"silent": {func(*enginesim.Socket) {}, enginesim.Connecting},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := func(_ context.Context, _ string, s *enginesim.Socket) { test.report(s) }
			bubble(t, &enginesim.Engine{Begin: begin}, func(c *testClient) {
				c.started()
				sleep(1)
				if got := c.engine.Snapshot()[0].Phase; got != test.want {
					t.Errorf("the session is %s, want %s", got, test.want)
				}
			})
		})
	}
}

func TestQR_ImageContainsCode(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.started()
		for range 3 {
			image, _ := c.want(c.qr("1"), 200).body.Data["qrCode"].(string)
			got := decode(t, image)
			if want := c.engine.Snapshot()[0].Code; got != want || !strings.HasPrefix(got, "https://wa.me/") {
				t.Errorf("the image holds %.60q, the session shows %.60q", got, want)
			}
			sleep(60)
		}
	})
}

func decode(t *testing.T, dataURL string) string {
	t.Helper()
	_, bare, _ := strings.Cut(dataURL, "base64,")
	picture, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(bare)))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		t.Fatal(err)
	}
	return result.GetText()
}

func TestConnect_ForceReplacesCode(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.started()
		first := c.engine.Snapshot()[0].Code
		c.want(c.connect("1"), 200)
		if c.engine.Snapshot()[0].Code != first {
			t.Error("a plain connect replaced the code")
		}
		c.want(c.do("POST", "/api/sessions/1/connect", `{"force":true}`), 200)
		if got := c.engine.Snapshot()[0]; got.Code == first || got.Sequence != 2 {
			t.Errorf("a forced connect kept the code, or it has number %d", got.Sequence)
		}
	})
}

func TestSocket_NoEffectAfterItsConnect(t *testing.T) {
	t.Parallel()
	begin := func(ctx context.Context, _ string, s *enginesim.Socket) {
		<-ctx.Done()
		s.Linked("5550100")
		s.Closed()
	}
	bubble(t, &enginesim.Engine{Begin: begin, EveryConnectStartsOver: true}, func(c *testClient) {
		c.started()
		c.want(c.connect("1"), 200) // the first connect ends and speaks into the second
		sleep(1)
		if got := c.engine.Snapshot()[0].Phase; got != enginesim.Connecting {
			t.Errorf("the session is %s", got)
		}
	})
}
