// One JSON line per event on standard error; standard output has only the "listening" line.
//
// Callers log only numeric session ids, states and codes; never a QR, a key, a phone number, or a sessionId,
// which may contain a phone number.

/** log writes one line. */
export function log(event, fields = {}) {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
}

/**
 * silenceConsole switches off the console for libraries. libsignal prints complete sessions,
 * private keys included, with console.info("Closing session:", session).
 */
export function silenceConsole() {
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir']) console[method] = () => {};
}

/** silentLogger is the pino-like logger that Baileys requires; at any level it may print phone numbers. */
export const silentLogger = {
  level: 'silent',
  child: () => silentLogger,
  trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {},
};
