package metrics

import (
	"runtime"
	"runtime/debug"
)

// Build names what was built.
type Build struct {
	Version  string
	Revision string // of the source
}

func (b Build) values() []string { return []string{b.Version, b.Revision, runtime.Version()} }

// filled takes what is missing from the binary itself.
func (b Build) filled() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && b.Revision == "" {
			b.Revision = s.Value
		}
	}
	if b.Revision == "" {
		b.Revision = "unknown"
	}
	if b.Version == "" {
		b.Version = "unknown"
	}
	return b
}
