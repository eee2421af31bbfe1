// Package house holds no code: its tests are the rules of the house, each with its reason. They read the
// repository's own files, so that they see every build tag, and take seconds.
//
//	walls_test.go    which room may import which
//	parts_test.go    which room may use which third party
//	size_test.go     how long, how wide
//	named_test.go    everything exported is documented
//	calm_test.go     no init, no mutable globals, no panics, no silent skips
//	sleep_test.go    nobody sleeps outside of a bubble
//	words_test.go    no secrets, no machine's paths, nothing but the product
//	docs_test.go     links, citations and settings are true
//
// An exception stands in allowed_test.go with its reason; one that nothing needs any more is an error too.
// Every rule is tried on code that breaks it (trial_test.go).
package house
