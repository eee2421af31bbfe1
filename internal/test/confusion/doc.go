// Package causes holds the gate's diagnosis against the truth: it injects faults into engines, into the way
// to WhatsApp and into WhatsApp itself, asks a whole gate why there is no QR, as a client does, and compares.
//
// The engines are three: a simulated engine of the documented API, the embedded engine on the real whatsmeow
// library, and the example engine on the real Baileys library. The first two run on fake time. What came out
// is docs/DIAGNOSIS.md, which the test compares; go test ./internal/test/confusion -update writes it.
package confusion
