// What the API returns when WhatsApp or the network fails: the responses that a gateway must diagnose.
import assert from 'node:assert/strict';
import test from 'node:test';
import { simulatorBinary, startEngine, startSimulator, until, untilQR, untilState } from './harness.mjs';

const { binary, skip } = simulatorBinary();

const endings = {
  'client outdated': { fault: { Failure: 405 }, state: 'error', code: 405, error: /outdated/ },
  'account banned for a while': { fault: { Failure: 402 }, state: 'error', code: 402, error: /banned/ },
  'server trouble': { fault: { Failure: 503 }, state: 'disconnected', code: 503, error: /Connection Failure/ },
  'upgrade refused': { fault: { HTTPStatus: 403 }, state: 'disconnected', code: 403, error: /HTTP 403/ },
  'connection cut in the handshake': { fault: { CutHello: true }, state: 'disconnected', code: 428, error: /Terminated/ },
  'a web page in place of WhatsApp': { fault: { GarbageHello: true }, state: 'disconnected', code: null, error: /./ },
  'no answer to the upgrade': { fault: { HangUpgrade: true }, state: 'disconnected', code: 408, error: /timed out/i },
  'restart asked for again and again': { fault: { StreamError: '515' }, state: 'error', code: 515, error: /restart/ },
  'TCP refused': { env: { WA_WEB_SOCKET_URL: 'ws://127.0.0.1:1/ws/chat' }, state: 'disconnected', code: 408, error: /ECONNREFUSED/, cause: 'ECONNREFUSED' },
};

for (const [name, { fault = {}, env, state, code, error, cause = null }] of Object.entries(endings)) {
  test(`${name}: ${state} with its reason, and no QR`, { skip }, async (t) => {
    const simulator = await startSimulator(t, binary);
    await simulator.fault(fault);
    const engine = await startEngine(t, simulator, { WA_CONNECT_TIMEOUT_MS: '500', ...env });
    await engine.create('faulty');
    assert.equal((await engine.post('/api/sessions/1/connect', {})).status, 200);
    const { body: { data } } = await untilState(engine, 1, state);
    assert.match(data.error, error);
    assert.deepEqual([data.lastDisconnect.code, data.lastDisconnect.cause, data.hasQR], [code, cause, false]);
    const [item] = (await engine.get('/api/sessions')).body.data.sessions;
    assert.deepEqual([item.status, item.error, item.lastDisconnect], [state, data.error, data.lastDisconnect]);
    assert.equal((await engine.get('/api/sessions/1/qr')).body.code, 'QR_GENERATION_ERROR');

    await simulator.fault({});
    if (env) return;
    await engine.post('/api/sessions/1/connect', {});
    await untilQR(engine, 1);
    assert.equal((await engine.get('/api/sessions/1/status')).body.data.error, null);
  });
}

test('without pair-device the session stays connecting, as in the incident', { skip }, async (t) => {
  const simulator = await startSimulator(t, binary);
  await simulator.fault({ NoPairDevice: true });
  const engine = await startEngine(t, simulator, { WA_CONNECT_TIMEOUT_MS: '200' });
  await engine.create('silent');
  await engine.post('/api/sessions/1/connect');
  await until(async () => ({ body: await simulator.stats() }), ({ body }) => body.dials > 0, 'a dial');
  const qr = await engine.get('/api/sessions/1/qr');
  assert.deepEqual([qr.status, qr.body.code], [500, 'QR_GENERATION_ERROR']);
  const { body: { data } } = await engine.get('/api/sessions/1/status');
  assert.deepEqual([data.status, data.hasQR, data.isConnected, data.error], ['connecting', false, false, null]);

  await simulator.fault({});
  await engine.post('/api/sessions/1/connect', {});
  assert.equal((await engine.get('/api/sessions/1/status')).body.data.status, 'connecting', 'a second connect changes nothing');
  await engine.post('/api/sessions/1/connect', { force: true });
  await untilQR(engine, 1);
});

test('codes rotate, expire, and return with the next connect', { skip }, async (t) => {
  const simulator = await startSimulator(t, binary);
  await simulator.fault({ Refs: 2 });
  const engine = await startEngine(t, simulator, { WA_QR_TIMEOUT_MS: '700' });
  await engine.create('rotating');
  await engine.post('/api/sessions/1/connect');
  const first = await untilQR(engine, 1);
  await until(() => engine.get('/api/sessions/1/qr'), ({ body }) => body.data && body.data.qrCode !== first.answer.body.data.qrCode, 'the second code');
  const { body: { data } } = await untilState(engine, 1, 'disconnected');
  assert.deepEqual([data.lastDisconnect.code, data.error], [408, 'QR refs attempts ended']);
  assert.equal((await engine.get('/api/sessions/1/qr')).status, 500);
  const [item] = (await engine.get('/api/sessions')).body.data.sessions;
  assert.deepEqual([item.qrCode, item.hasQR, typeof item.qrCodeExpiresAt], [null, false, 'string']);
  await engine.post('/api/sessions/1/connect');
  const again = await untilQR(engine, 1);
  assert.notEqual(again.code, first.code);
});

test('connect is idempotent; force and restart open a new socket', { skip }, async (t) => {
  const simulator = await startSimulator(t, binary);
  const engine = await startEngine(t, simulator);
  await engine.create('one-socket');
  const connect = (body) => engine.post('/api/sessions/1/connect', body);
  const answers = await Promise.all([connect(), connect({}), connect(), connect({}), connect()]);
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200, 200]);
  const { code } = await untilQR(engine, 1);
  await connect();
  assert.equal((await simulator.stats()).dials, 1);
  await connect({ force: true });
  const forced = await untilQR(engine, 1);
  assert.notEqual(forced.code, code);
  await engine.post('/api/sessions/1/restart');
  await untilQR(engine, 1);
  assert.equal((await simulator.stats()).dials, 3);
});
