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

func TestCodesRotateAndRunOut(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{QRDelay: 4 * time.Second, Rotation: enginesim.WhatsAppRotation()}
	bubble(t, engine, func(d *desk) {
		d.started()
		sleep(4)
		for i, life := range enginesim.WhatsAppRotation() {
			got := d.engine.Snapshot()[0]
			if got.Sequence != i+1 || got.Phase != enginesim.Showing {
				t.Errorf("code %d: sequence %d, %s", i+1, got.Sequence, got.Phase)
			}
			sleep(life.Seconds() - 0.001)
			if last := d.engine.Snapshot()[0]; last.Code != got.Code {
				t.Errorf("code %d was replaced before its time", i+1)
			}
			sleep(0.001)
		}
		if d.state("1") != "disconnected" {
			t.Error("the connect is not over after its last code")
		}
		d.want(d.qr("1"), 500)
		item := d.do("GET", "/api/sessions/1", "").body.Data["session"].(map[string]any)
		if item["qrCode"] != nil || item["qrCodeGeneratedAt"] != "2000-01-01T00:02:24.000Z" {
			t.Errorf("the database keeps %v of %v", item["qrCode"], item["qrCodeGeneratedAt"])
		}
		d.connect("1")
		sleep(4)
		if got := d.engine.Snapshot()[0].Sequence; got != 7 {
			t.Errorf("the next connect begins with code %d", got)
		}
	})
}

func TestWithoutRotationCodesFollowForEver(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(d *desk) {
		d.started()
		first := d.engine.Snapshot()[0].Code
		sleep(59.9)
		if d.engine.Snapshot()[0].Code != first {
			t.Error("the code changed within its life")
		}
		sleep(3600)
		if got := d.engine.Snapshot()[0]; got.Sequence != 61 || got.Code == first {
			t.Errorf("after an hour: sequence %d", got.Sequence)
		}
	})
}

func TestExpiryPromisesMoreThanRotationKeeps(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}
	bubble(t, engine, func(d *desk) {
		d.started()
		sleep(60)
		if got := d.qr("1").body.Data["expiresAt"]; got != "2000-01-01T00:02:00.000Z" {
			t.Errorf("the second code expires at %v", got)
		}
		item := d.do("GET", "/api/sessions/1", "").body.Data["session"].(map[string]any)
		if item["qrCodeGeneratedAt"] != "2000-01-01T00:01:00.000Z" || item["qrCodeExpiresAt"] != "2000-01-01T00:02:00.000Z" {
			t.Errorf("listed from %v to %v", item["qrCodeGeneratedAt"], item["qrCodeExpiresAt"])
		}
	})
}

func TestCodesFromOutside(t *testing.T) {
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
	bubble(t, &enginesim.Engine{Begin: begin, QRDelay: 4 * time.Second}, func(d *desk) {
		d.started()
		sleep(3)
		d.want(d.qr("1"), 500)
		sleep(1)
		d.want(d.qr("1"), 200)
		if got := d.engine.Snapshot()[0]; got.Code != "one-a" || got.Sequence != 1 {
			t.Errorf("first code %q, %d", got.Code, got.Sequence)
		}
		sleep(57)
		if got := d.engine.Snapshot()[0]; got.Code != "one-b" || got.Sequence != 2 {
			t.Errorf("second code %q, %d", got.Code, got.Sequence)
		}
		d.want(d.do("DELETE", "/api/sessions/1", ""), 200)
		if err := <-ended; err == nil {
			t.Error("the connect's context still lives")
		}
	})
}

func TestSocketReports(t *testing.T) {
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
			bubble(t, &enginesim.Engine{Begin: begin}, func(d *desk) {
				d.started()
				sleep(1)
				if got := d.engine.Snapshot()[0].Phase; got != test.want {
					t.Errorf("the session is %s, want %s", got, test.want)
				}
			})
		})
	}
}

func TestTheImageHoldsTheCode(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(d *desk) {
		d.started()
		for range 3 {
			image, _ := d.want(d.qr("1"), 200).body.Data["qrCode"].(string)
			got := decode(t, image)
			if want := d.engine.Snapshot()[0].Code; got != want || !strings.HasPrefix(got, "https://wa.me/") {
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

func TestAForcedConnectStartsOver(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(d *desk) {
		d.started()
		first := d.engine.Snapshot()[0].Code
		d.want(d.connect("1"), 200)
		if d.engine.Snapshot()[0].Code != first {
			t.Error("a plain connect replaced the code")
		}
		d.want(d.do("POST", "/api/sessions/1/connect", `{"force":true}`), 200)
		if got := d.engine.Snapshot()[0]; got.Code == first || got.Sequence != 2 {
			t.Errorf("a forced connect kept the code, or it has number %d", got.Sequence)
		}
	})
}

func TestASocketThatIsOverSaysNothing(t *testing.T) {
	t.Parallel()
	begin := func(ctx context.Context, _ string, s *enginesim.Socket) {
		<-ctx.Done()
		s.Linked("5550100")
		s.Closed()
	}
	bubble(t, &enginesim.Engine{Begin: begin, EveryConnectStartsOver: true}, func(d *desk) {
		d.started()
		d.want(d.connect("1"), 200) // the first connect ends and speaks into the second
		sleep(1)
		if got := d.engine.Snapshot()[0].Phase; got != enginesim.Connecting {
			t.Errorf("the session is %s", got)
		}
	})
}
