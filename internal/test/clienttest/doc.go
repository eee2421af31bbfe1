// Package clients replays the engine's existing clients, request by request: their time-outs, their sleeps, which
// status codes they count as what, and where they give up or crash. A change that would break one of them
// breaks its replay first.
//
// Every replay is a [Client]. It calls any base URL over the HTTP client that it is given and waits with
// plain timers, so that five minutes of a wizard take no time in a testing/synctest bubble.
//
// What the clients do is written down in docs/CONTRACT.md, sections 4.1 to 4.4; the names here are theirs. Where that
// page is silent about a detail, the comment says what is assumed.
package clienttest
