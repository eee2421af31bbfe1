package app_test

import (
	"testing"
	"time"

	"qrgate/internal/test/waiting"
)

// redisTimeout is for tests in which Redis stays available, on a slow machine too.
const redisTimeout = 10 * time.Second

func TestMain(m *testing.M) { waiting.Main(m) }
