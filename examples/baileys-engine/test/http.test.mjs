// The API on a real port, with sessions that never connect: keys, limits, ids, unknown routes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as rawRequest } from 'node:http';
import test from 'node:test';
import { readConfig } from '../src/config.mjs';
import { newServer } from '../src/server.mjs';
import { openSessions } from '../src/sessions.mjs';
import { Webhooks } from '../src/webhooks.mjs';
import { temporary } from './harness.mjs';

async function serve(t, env = {}) {
  const config = readConfig({ ENGINE_API_KEYS: 'a:key-a,b:key-b', ENGINE_DATA_DIR: temporary(t), ...env });
  const sessions = await openSessions(config, new Webhooks(config.webhooks));
  const server = newServer(config, sessions).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.closeAllConnections(); server.close(); });
  const base = `http://127.0.0.1:${server.address().port}`;
  return async (method, where, { key = 'key-a', body, headers = {} } = {}) => {
    const answer = await fetch(base + where, { method, body, headers: { ...(key && { 'X-API-Key': key }), 'Content-Type': 'application/json', ...headers } });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text && JSON.parse(text), base };
  };
}

const create = (call, sessionId, options) => call('POST', '/api/sessions', { body: JSON.stringify({ sessionId, sessionName: 'x' }), ...options });

test('only a valid key is accepted', async (t) => {
  const call = await serve(t);
  for (const [key, code] of [[null, 'MISSING_API_KEY'], ['key-c', 'INVALID_API_KEY']]) {
    const { status, body } = await call('GET', '/api/sessions', { key });
    assert.deepEqual([status, body.success, body.code, Object.keys(body).length], [401, false, code, 4]);
  }
  assert.equal((await call('GET', '/health', { key: null })).body.version, '1.0.0');
  assert.equal((await call('GET', '/', { key: null })).body.health, '/health');
});

test('an owner sees its own sessions and no others', async (t) => {
  const call = await serve(t);
  await create(call, 'shared-name');
  assert.equal((await create(call, 'shared-name', { key: 'key-b' })).status, 201, 'names are per owner');
  for (const where of ['1', '1/status', '1/qr', '1/connect']) {
    const { status, body } = await call(where.endsWith('connect') ? 'POST' : 'GET', `/api/sessions/${where}`, { key: 'key-b' });
    assert.deepEqual([status, body.code], [404, 'SESSION_NOT_FOUND'], where);
  }
  assert.equal((await call('GET', '/api/sessions/shared-name', { key: 'key-b' })).body.data.session.id, 2);
  assert.equal((await call('GET', '/api/sessions', { key: 'key-b' })).body.data.total, 1);
});

test('both kinds of identifier work, the number first', async (t) => {
  const call = await serve(t);
  await create(call, 'first');
  await create(call, '001');
  await create(call, '5550100');
  await create(call, 'stats');
  for (const [ref, id] of [['1', 1], ['first', 1], ['001', 1], ['2', 2], ['5550100', 3], ['4', 4]]) {
    assert.equal((await call('GET', `/api/sessions/${ref}/status`)).body.data.id, id, ref);
  }
  assert.equal((await call('GET', '/api/sessions/stats')).body.data.total, 4, 'a static route stays ahead');
  assert.equal((await call('GET', '/api/sessions/stats/status')).body.data.id, 4);
});

test('status of an unconnected session is 200, or 404 with ENGINE_STATUS_404', async (t) => {
  const truthful = await serve(t);
  await create(truthful, 'abc');
  const { status, body } = await truthful('GET', '/api/sessions/abc/status');
  assert.deepEqual([status, body.data.status, body.data.isConnected, body.data.hasQR], [200, 'disconnected', false, false]);
  assert.equal(typeof body.data.lastActivity, 'string');
  assert.equal((await truthful('GET', '/api/sessions/abc/qr')).body.code, 'QR_GENERATION_ERROR');
  const forgetful = await serve(t, { ENGINE_STATUS_404: '1' });
  await create(forgetful, 'abc');
  assert.equal((await forgetful('GET', '/api/sessions/abc/status')).body.code, 'SESSION_NOT_FOUND');
});

test('thirty session calls a minute per key, shared by all its sessions, then 429', async (t) => {
  const call = await serve(t);
  const answers = [];
  for (let i = 0; i < 31; i += 1) answers.push(await call('GET', '/api/sessions'));
  assert.deepEqual(answers.map(({ status }) => status), [...Array(30).fill(200), 429]);
  assert.deepEqual(answers.slice(28).map(({ headers }) => headers.get('X-RateLimit-Remaining')), ['1', '0', '0']);
  const { body, headers } = answers[30];
  assert.deepEqual([body.code, body.error, Object.keys(body).length], ['RATE_LIMIT_EXCEEDED', 'Demasiadas solicitudes', 4]);
  assert.equal(headers.get('RateLimit-Policy'), '1000;w=900');
  const wait = Number(headers.get('X-RateLimit-Reset')) - Date.now() / 1000;
  assert.ok(wait > 0 && wait <= 61, `resets in ${wait} s`);
  assert.equal((await call('GET', '/api/sessions', { key: 'key-b' })).status, 200, 'the other key has its own minute');
  assert.equal((await call('GET', '/health')).status, 200);
});

test('the general limit counts every call under /api', async (t) => {
  const call = await serve(t, { ENGINE_GENERAL_LIMIT: '2' });
  const statuses = [];
  for (const where of ['/api/nothing', '/api/sessions', '/api/sessions']) statuses.push((await call('GET', where)).status);
  assert.deepEqual(statuses, [404, 200, 429]);
});

const unknown = ['GET /nothing', 'GET /api/nothing', 'PATCH /api/sessions', 'GET /api/sessions/1/nothing', 'POST /api/sessions/1/qr', 'GET /api/sessions/1/constructor', 'GET /api/sessions/1/qr/status'];

for (const line of unknown) {
  test(`unknown: ${line}`, async (t) => {
    const call = await serve(t);
    await create(call, 'abc');
    const { status, body } = await call(...line.split(' '));
    assert.deepEqual([status, body.code, Object.keys(body)], [404, 'NOT_FOUND', ['success', 'error', 'code', 'timestamp']]);
  });
}

const badBodies = { 'no JSON': ['{', 400], 'a list': ['[]', 400], 'null': ['null', 400], 'too large': [`"${'x'.repeat(1 << 20)}"`, 413] };

for (const [name, [body, status]] of Object.entries(badBodies)) {
  test(`a body that is ${name}: ${status}`, async (t) => {
    const call = await serve(t);
    assert.equal((await call('POST', '/api/sessions', { body })).status, status);
  });
}

test('preflights are answered without a key', async (t) => {
  const call = await serve(t);
  const headers = { Origin: 'https://crm.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-api-key' };
  const { base } = await call('GET', '/health');
  const answer = await preflight(`${base}/api/sessions`, headers);
  assert.equal(answer.statusCode, 204);
  assert.equal(answer.headers['access-control-allow-origin'], 'https://crm.example');
  assert.equal(answer.headers['access-control-allow-headers'], 'x-api-key');
  assert.equal(answer.headers['access-control-allow-credentials'], 'true');
});

test('with a list of origins, others are refused', async (t) => {
  const call = await serve(t, { ENGINE_CORS_ORIGINS: 'https://crm.example' });
  const { base } = await call('GET', '/health');
  assert.equal((await preflight(base, { Origin: 'https://other.example' })).headers['access-control-allow-origin'], undefined);
});

// fetch would refuse to send an Origin.
async function preflight(url, headers) {
  const outgoing = rawRequest(url, { method: 'OPTIONS', headers }).end();
  const [answer] = await once(outgoing, 'response');
  answer.resume();
  return answer;
}

test('sessions and their webhooks survive a restart; the secret is not shown', async (t) => {
  const env = { ENGINE_DATA_DIR: temporary(t) };
  const first = await serve(t, env);
  await create(first, 'kept', { headers: { 'X-Frappe-Origin': 'true' } });
  const webhook = { webhookUrl: 'https://crm.example/hook', webhookSecret: 'sixteen-letters!' };
  const { status, body } = await first('PUT', '/api/sessions/kept/webhook', { body: JSON.stringify(webhook) });
  assert.deepEqual([status, body.data.webhookUrl, JSON.stringify(body).includes('sixteen')], [200, webhook.webhookUrl, false]);
  const second = await serve(t, env);
  assert.equal((await second('GET', '/api/sessions/kept')).body.data.session.id, 1);
  assert.equal((await create(second, 'next')).body.data.session.id, 2, 'numbers are never given twice');
});
