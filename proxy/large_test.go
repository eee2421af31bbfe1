package proxy_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"runtime"
	"strconv"
	"testing"
)

const large = 100 << 20 // the documented upload (contract 1.3)

// zeros reads as n zero bytes, without having them.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// allocated is how much do allocates, in all, wherever it was: client, front and engine are in one process.
func allocated(do func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Not parallel: nothing else may allocate meanwhile.
func TestALargeUploadAndDownloadTakeLittleMemory(t *testing.T) {
	const ceiling = 8 << 20
	var received int64
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			received, _ = io.Copy(io.Discard, r.Body)
			return
		}
		if r.URL.RawQuery == "sized" {
			w.Header().Set("Content-Length", strconv.Itoa(large))
		}
		_, _ = io.Copy(w, zeros(large))
	}))

	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	_, _ = form.CreateFormFile("file", "video.mp4")
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	size := int64(head.Len()+len(tail)) + large
	for _, announced := range []int64{size, -1} {
		body := io.MultiReader(bytes.NewReader(head.Bytes()), zeros(large), bytes.NewReader([]byte(tail)))
		r, _ := http.NewRequest("POST", g.url+"/api/media/sessions/shop-1/upload", body)
		r.ContentLength = announced
		r.Header.Set("Content-Type", form.FormDataContentType())
		used := allocated(func() {
			if a := g.do(t, r); a.StatusCode != 200 || received != size {
				t.Errorf("answered %d, the engine got %d of %d bytes", a.StatusCode, received, size)
			}
		})
		if used > ceiling {
			t.Errorf("an upload of 100 MiB (announced %v) allocated %d KiB", announced > 0, used>>10)
		}
		if e := g.exchange(t); e.BytesIn != size {
			t.Errorf("observed %d bytes in, want %d", e.BytesIn, size)
		}
	}

	for _, query := range []string{"sized", "chunked"} {
		used := allocated(func() {
			res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustGet(t, g.url+"/api/media/1/download?"+query))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); n != large || err != nil {
				t.Errorf("downloaded %d bytes, %v", n, err)
			}
		})
		if used > ceiling {
			t.Errorf("a %s download of 100 MiB allocated %d KiB", query, used>>10)
		}
		if e := g.exchange(t); e.BytesOut != large {
			t.Errorf("observed %d bytes out", e.BytesOut)
		}
	}
}

func mustGet(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
