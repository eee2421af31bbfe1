package enginesim

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

const defaultDownload = 1 << 20

// download sends ?bytes=N bytes, 1 MiB by default, in constant memory. Ranges work. A truncated one promises all
// and ends after half.
func download(w http.ResponseWriter, r *http.Request, truncated bool) {
	size, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil || size < 0 {
		size = defaultDownload
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if truncated {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_, _ = io.CopyN(w, &pattern{size: size}, size/2)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, &pattern{size: size})
}

// DownloadByte is the byte at an offset of every download.
func DownloadByte(offset int64) byte { return byte(offset % 251) } // a prime: no block repeats at a power of two

// pattern is a reader over the bytes of a download.
type pattern struct{ at, size int64 }

// Read implements [io.Reader].
func (p *pattern) Read(b []byte) (int, error) {
	if p.at >= p.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.size-p.at))
	for i := range n {
		b[i] = DownloadByte(p.at + int64(i))
	}
	p.at += int64(n)
	return n, nil
}

// Seek implements [io.Seeker].
func (p *pattern) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.at
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the first byte")
	}
	p.at = offset
	return offset, nil
}
