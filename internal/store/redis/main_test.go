package redis_test

import (
	"testing"

	"qrgate/internal/test/waiting"
)

func TestMain(m *testing.M) { waiting.Main(m) }
