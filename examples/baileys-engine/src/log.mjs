// One JSON line per event on standard error; standard output belongs to the "listening" line.
//
// What may be logged is what callers pass here: numeric session ids, states, codes. Never a QR, a key,
// a phone number, nor a sessionId: clients put phone numbers into it.

/** log writes one line. */
export function log(event, fields = {}) {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
}

/**
 * silenceConsole takes the console away from the libraries. libsignal prints whole sessions,
 * private keys included, with console.info("Closing session:", session).
 */
export function silenceConsole() {
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir']) console[method] = () => {};
}

/** silentLogger is the pino-shaped logger that Baileys asks for; at any level it may print phone numbers. */
export const silentLogger = {
  level: 'silent',
  child: () => silentLogger,
  trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {},
};
