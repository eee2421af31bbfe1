// One connection to WhatsApp: the only file that opens a Baileys socket.
import { makeWASocket, WA_CERT_DETAILS } from '@whiskeysockets/baileys';
import { log, silentLogger } from './log.mjs';

const CLOSE_MS = 1000;

/** trustRoot makes Baileys accept the Noise root of a simulated server, for the whole process. */
export function trustRoot(publicKey) {
  WA_CERT_DETAILS.PUBLIC_KEY = publicKey;
}

/**
 * openSocket connects with these credentials and calls on() with one of:
 * {qr} a new code · {paired} a phone has scanned · {open} logged in · {closed: error} the end.
 */
export function openSocket(credentials, whatsapp, on) {
  const socket = makeWASocket({ auth: credentials, ...options(whatsapp) });
  socket.ev.on('creds.update', () => void credentials.save().catch((error) => log('credentials_not_saved', { id: credentials.id, code: error.code })));
  socket.ev.on('connection.update', (update) => {
    if (update.qr) on({ qr: update.qr });
    if (update.isNewLogin) on({ paired: true });
    if (update.connection === 'open') on({ open: true });
    if (update.connection === 'close') on({ closed: update.lastDisconnect?.error ?? null });
  });
  reportUpgrade(socket);
  return { close: () => close(socket), logout: () => socket.logout() };
}

function options({ url, version, qrTimeoutMs, connectTimeoutMs, keepAliveMs }) {
  const given = {
    waWebSocketUrl: url, version, qrTimeout: qrTimeoutMs, connectTimeoutMs, keepAliveIntervalMs: keepAliveMs,
  };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    logger: silentLogger,
    markOnlineOnConnect: false,
    syncFullHistory: false,
  };
}

// Baileys ignores unexpected-response, so a 403 or 503 on the upgrade would appear as a timeout twenty seconds
// later, without its status.
function reportUpgrade(socket) {
  socket.ws.on('unexpected-response', (_request, response) => {
    const via = response.headers.via ? ` by the proxy ${response.headers.via}` : '';
    const error = new Error(`WebSocket upgrade answered with HTTP ${response.statusCode}${via}`);
    socket.end(Object.assign(error, { upgradeStatus: response.statusCode }));
  });
}

// end() waits for the server to close, for half a minute when the connection is dead.
async function close(socket) {
  const wire = socket.ws.socket;
  socket.ev.removeAllListeners('connection.update');
  let timer;
  const patience = new Promise((resolve) => { timer = setTimeout(resolve, CLOSE_MS); });
  await Promise.race([socket.end(undefined).catch(() => {}), patience]);
  clearTimeout(timer);
  wire?.terminate();
}
