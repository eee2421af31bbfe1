package probes

import (
	"crypto/rand"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// prefix begins every session of a probe: syn-<probe>-<epoch>-<number>. It is for people. Nothing is ever
// deleted for its name: others may have chosen one like it.
const prefix = "syn-"

// newEpoch names one life of a prober, so that no two ever choose the same id: the second of its start
// and forty random bits.
func newEpoch(now time.Time) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // it never fails, by its contract
	return strconv.FormatInt(now.Unix(), 36) + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// runID names a run; the session that it makes is called the same, behind the prefix.
func runID(probe, epoch string, n int64) string {
	return probe + "-" + epoch + "-" + strconv.FormatInt(n, 10)
}
