// Harness of the end-to-end tests: a simulated WhatsApp, the engine as a process, a phone, a webhook receiver.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import jsQR from 'jsqr';
import { PNG } from 'pngjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ENGINE = path.dirname(HERE);
const REPOSITORY = path.resolve(ENGINE, '../..');
export const KEY = 'key-a';
export const PHONE = '5550100';

const children = new Set();
process.once('SIGTERM', () => process.exit(143)); // an interrupted run leaves no process behind
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

const deferred = new WeakMap();

// Node runs after-hooks in order of registration; cleanup must run in reverse order.
function defer(t, work) {
  if (!deferred.has(t)) {
    deferred.set(t, []);
    t.after(async () => {
      for (const next of deferred.get(t).reverse()) await next();
    });
  }
  deferred.get(t).push(work);
}

/** temporary gives a directory that is removed when the test ends. */
export function temporary(t) {
  const dir = mkdtempSync(path.join(tmpdir(), 'baileys-engine-'));
  defer(t, () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** simulatorBinary builds tools/whatsappsim, or takes $WHATSAPPSIM; it gives {skip: why} when neither is possible. */
export function simulatorBinary() {
  if (process.env.WHATSAPPSIM) return { binary: process.env.WHATSAPPSIM };
  const missing = !existsSync(path.join(REPOSITORY, 'tools/whatsappsim')) ? 'tools/whatsappsim is not in this tree' : !hasGo() && 'the go command is not installed';
  if (missing && process.env.QRGATE_REQUIRE_ALL === '1') throw new Error(`the simulated WhatsApp server cannot be built: ${missing}`);
  if (missing) return { skip: `the simulated WhatsApp server cannot be built: ${missing}` };
  const dir = mkdtempSync(path.join(tmpdir(), 'whatsappsim-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const binary = path.join(dir, 'whatsappsim');
  execFileSync('go', ['build', '-C', path.join(REPOSITORY, 'tools'), '-o', binary, './whatsappsim'], { stdio: ['ignore', 'inherit', 'inherit'] });
  return { binary };
}

function hasGo() {
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** startSimulator runs the simulator for one test. */
export async function startSimulator(t, binary) {
  const child = start(binary, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  defer(t, () => stop(child, 'SIGKILL'));
  const { url, control, root } = await firstLine(child);
  const post = async (name, body = {}) => {
    const answer = await fetch(`${control}/${name}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  };
  return {
    url,
    root,
    fault: (fault) => post('fault', fault),
    cut: () => post('cut'),
    unlink: (user = PHONE) => post('unlink', { user }),
    scan: (qr, user = PHONE) => post('scan', { qr, user, lid: '999888' }),
    stats: async () => (await fetch(`${control}/stats`)).json(),
  };
}

/** startEngine runs main.mjs for one test. */
export async function startEngine(t, simulator, env = {}) {
  const child = start(process.execPath, ['main.mjs'], { cwd: ENGINE, env: { ...process.env, ...settings(t, simulator), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  defer(t, () => stop(child, 'SIGKILL'));
  const output = [];
  child.stderr.on('data', (chunk) => output.push(chunk));
  child.stdout.on('data', (chunk) => output.push(chunk));
  const { listening } = await firstLine(child);
  const call = (method, where, body, headers) => request(`${listening}${where}`, method, body, headers);
  return {
    base: listening,
    call,
    get: (where) => call('GET', where),
    post: (where, body) => call('POST', where, body),
    output: () => Buffer.concat(output).toString(),
    stop: () => stop(child, 'SIGTERM'),
    create: (sessionId, more) => call('POST', '/api/sessions', { sessionId, sessionName: 'test', ...more }),
  };
}

function settings(t, simulator) {
  return {
    PORT: '0',
    ENGINE_API_KEYS: `a:${KEY},b:key-b`,
    ENGINE_DATA_DIR: temporary(t),
    ENGINE_SESSION_LIMIT: '1000000',
    ENGINE_GENERAL_LIMIT: '1000000',
    ENGINE_RECONNECT_MS: '50',
    ENGINE_WEBHOOK_ALLOW_HTTP: '1',
    ENGINE_WEBHOOK_RETRY_MS: '20',
    WA_WEB_SOCKET_URL: simulator.url,
    WA_NOISE_ROOT: simulator.root,
  };
}

async function request(url, method, body, headers = {}) {
  const answer = await fetch(url, {
    method,
    headers: { 'X-API-Key': KEY, 'Content-Type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text && JSON.parse(text) };
}

/** until asks again until the answer satisfies; it fails with the last answer after ten seconds. */
export async function until(ask, satisfied, what) {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (satisfied(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`${what}: still ${JSON.stringify(answer.body)}`);
    await pause(10);
  }
}

/** untilQR polls /qr and gives what the picture says, the answer it came in, and when that came. */
export async function untilQR(engine, id) {
  const answer = await until(() => engine.get(`/api/sessions/${id}/qr`), ({ status }) => status === 200, 'a QR');
  const at = performance.now();
  return { code: read(answer.body.data.qrCode), answer, at };
}

/** untilState polls /status for a state. */
export function untilState(engine, id, state) {
  return until(() => engine.get(`/api/sessions/${id}/status`), ({ body }) => body.data?.status === state, state);
}

function read(dataURL) {
  const { data, width, height } = PNG.sync.read(Buffer.from(dataURL.split(',')[1], 'base64'));
  return jsQR(new Uint8ClampedArray(data), width, height).data;
}

/** startReceiver takes webhooks; statuses is what to answer, first to last, then 200. */
export async function startReceiver(t, statuses = []) {
  const received = [];
  const server = createServer(async (incoming, response) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    received.push({ headers: incoming.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(statuses.shift() ?? 200, { Location: '/elsewhere' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => { server.closeAllConnections(); server.close(); });
  return { url: `http://127.0.0.1:${server.address().port}/hook`, received };
}

function start(...how) {
  const child = spawn(...how);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function firstLine(child) {
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([code]) => { throw new Error(`ended with ${code} before it said where it listens`); }),
  ]);
  return JSON.parse(line);
}

async function stop(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  child.kill(signal);
  const [code] = await once(child, 'exit');
  return code;
}
