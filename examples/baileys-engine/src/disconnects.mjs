// Why a WhatsApp connection ended, and what to do next. Pure functions.

/** What WhatsApp means by the reason of a <failure> or <stream:error>. */
const MEANINGS = new Map([
  [401, 'the device was logged out'],
  [402, 'the account is temporarily banned'],
  [403, 'the account is no longer allowed to connect'],
  [405, 'WhatsApp refuses this client version as outdated'],
  [406, 'the account was logged out or banned'],
  [409, 'WhatsApp refuses this user agent'],
  [411, 'the phone has not joined multi-device'],
  [440, 'another connection took this session over'],
  [515, 'WhatsApp asks for a restart of the connection'],
]);

/** Only a person can resolve these; retries would make them worse. */
const REFUSALS = new Set([401, 402, 403, 405, 406, 409, 411]);

/**
 * verdict returns what to do after a connection ended.
 *
 * `then` is one of restart (a new socket at once), retry (a new socket after a delay), unlink (delete the
 * credentials) and stop. `state` is the state to show meanwhile. Baileys uses 408 for a refused TCP
 * connection, a timeout, a DNS failure and the end of the QR codes alike, so the message is kept too.
 */
export function verdict(error, { paired }) {
  const disconnect = describe(error);
  return { ...decide(disconnect, paired), disconnect };
}

function decide({ code, upgrade }, paired) {
  if (code === 515) return { then: 'restart', state: 'connecting' };
  if (code === 440) return { then: 'stop', state: 'disconnected' };
  if (code === 401 && !upgrade && paired) return { then: 'unlink', state: 'disconnected' };
  if (REFUSALS.has(code) && !upgrade) return { then: 'stop', state: 'error' };
  if (paired) return { then: 'retry', state: 'connecting' };
  return { then: 'stop', state: 'disconnected' };
}

function describe(error) {
  const upgrade = error?.upgradeStatus !== undefined;
  const code = error?.upgradeStatus ?? error?.output?.statusCode ?? null;
  const cause = typeof error?.data?.code === 'string' ? error.data.code : null;
  const meaning = upgrade ? undefined : MEANINGS.get(code);
  return { code, message: redact(error?.message || 'Connection closed'), cause, meaning: meaning ?? null, upgrade };
}

/** redact removes text that could be a phone number or an account: addresses with @, seven digits and more. */
function redact(text) {
  return text.replace(/\S*@\S*/g, '[…]').replace(/\d{7,}/g, '[…]').slice(0, 200);
}

/** retryDelay doubles from base with each failure in a row, at most a minute; milliseconds. */
export function retryDelay(base, failures) {
  return Math.min(base * 2 ** Math.min(failures, 16), 60_000);
}
