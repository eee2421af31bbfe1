// Package confusion compares qrgate's diagnoses with the truth: it injects faults into engines, into the network
// between an engine and WhatsApp, and into WhatsApp itself, and asks qrgate for the cause as a client does.
//
// There are three engines: a simulated engine of the documented API, the embedded engine on the real whatsmeow library,
// and the example engine on the real Baileys library. The first two run on fake time. The result is docs/DIAGNOSIS.md:
// the test compares it, and go test ./internal/test/confusion -update writes it.
//
//go:generate go test . -run TestDiagnosis_ConfusionTable -update
package confusion
