// The engine as a process: settings in, one "listening" line out, a clean end on SIGTERM.
import { once } from 'node:events';
import { ConfigError, readConfig } from './src/config.mjs';
import { log, silenceConsole } from './src/log.mjs';
import { newServer } from './src/server.mjs';
import { openSessions } from './src/sessions.mjs';
import { trustRoot } from './src/socket.mjs';
import { Webhooks } from './src/webhooks.mjs';

const SHUTDOWN_MS = 5000;

function settings() {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(2);
  }
}

const config = settings();
silenceConsole();
// Baileys rejects promises nobody holds when a socket dies under it. One session's end is not the engine's.
process.on('unhandledRejection', (error) => log('unhandled', { name: error?.name, code: error?.output?.statusCode ?? error?.code }));

if (config.whatsapp.noiseRoot) trustRoot(config.whatsapp.noiseRoot);
const webhooks = new Webhooks(config.webhooks);
const sessions = await openSessions(config, webhooks);
const server = newServer(config, sessions);
server.listen(config.port, config.host);
await once(server, 'listening');

const { address, port, family } = server.address();
const host = family === 'IPv6' ? `[${address}]` : address;
process.stdout.write(`${JSON.stringify({ listening: `http://${host}:${port}` })}\n`);
void sessions.restore();

async function stop() {
  setTimeout(() => process.exit(1), SHUTDOWN_MS).unref();
  const closed = new Promise((resolve) => { server.close(resolve); });
  server.closeIdleConnections();
  await sessions.close();
  webhooks.close();
  server.closeAllConnections();
  await closed;
  process.exit(0);
}
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void stop());
