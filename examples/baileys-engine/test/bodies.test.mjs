import assert from 'node:assert/strict';
import test from 'node:test';
import * as bodies from '../src/bodies.mjs';
import { connectionFailed, errorBody, qrUnavailable } from '../src/errors.mjs';
import { newSession, webhookFields } from '../src/input.mjs';

const record = (id, more) => ({
  id, sessionId: `s-${id}`, sessionName: 'name', phoneNumber: null, sendToFrappe: false, owner: 'a', webhookSecret: 'never shown to anyone',
  createdAt: '2025-11-06T05:00:00.000Z', updatedAt: '2025-11-06T05:00:00.000Z', lastActivity: '2025-11-06T05:00:01.000Z', ...more,
});
const session = (id, more) => ({ record: record(id), state: 'disconnected', qr: null, lastQR: null, lastDisconnect: null, isConnected: false, ...more });
const generatedAt = new Date('2025-11-06T05:00:00.000Z');
const code = { image: 'data:image/png;base64,AAAA', generatedAt, expiresAt: new Date('2025-11-06T05:01:00.000Z') };

test('error bodies have the recorded fields and lengths', () => {
  const now = new Date('2025-11-06T05:02:00.000Z');
  assert.deepEqual(Object.keys(errorBody(connectionFailed(), now)), ['success', 'error', 'code', 'timestamp']);
  assert.equal(Buffer.byteLength(JSON.stringify(errorBody(connectionFailed(), now))), 117);
  assert.equal(Buffer.byteLength(JSON.stringify(errorBody(qrUnavailable(), now))), 123);
});

test('an item shows the QR while there is one, and its times afterwards', () => {
  const showing = bodies.item(session(1, { state: 'qr_code', qr: code, lastQR: code }));
  assert.deepEqual([showing.hasQR, showing.qrCode, showing.qrCodeExpiresAt], [true, code.image, '2025-11-06T05:01:00.000Z']);
  const gone = bodies.item(session(1, { lastQR: code }));
  assert.deepEqual([gone.hasQR, gone.qrCode, gone.qrCodeGeneratedAt, gone.qrCodeExpiresAt], [false, null, '2025-11-06T05:00:00.000Z', '2025-11-06T05:01:00.000Z']);
});

test('no body contains the webhook secret or the owner', () => {
  const one = session(1);
  const shown = JSON.stringify([bodies.created(one), bodies.item(one), bodies.detail(one), bodies.status(one)]);
  assert.doesNotMatch(shown, /never shown|owner/);
});

test('status has the reason why the connection ended', () => {
  const lastDisconnect = { code: 405, message: 'Connection Failure', cause: null, meaning: 'outdated', at: '2025-11-06T05:00:02.000Z' };
  const got = bodies.status(session(7, { state: 'error', lastDisconnect }));
  assert.deepEqual([got.id, got.status, got.error, got.lastDisconnect], [7, 'error', 'outdated', { code: 405, message: 'Connection Failure', cause: null, at: lastDisconnect.at }]);
});

const pages = {
  'ten by default': ['', 10, { total: 25, page: 1, limit: 10, pages: 3 }],
  'the last page': ['page=3&limit=10', 5, { total: 25, page: 3, limit: 10, pages: 3 }],
  'beyond the last': ['page=9', 0, { total: 25, page: 9, limit: 10, pages: 3 }],
  'a limit above 100 is clamped': ['limit=200', 25, { total: 25, page: 1, limit: 100, pages: 1 }],
  'nonsense is the default': ['page=-1&limit=x', 10, { total: 25, page: 1, limit: 10, pages: 3 }],
  'a state': ['status=connected', 1, { total: 1, page: 1, limit: 10, pages: 1 }],
  'a state nobody knows': ['status=rate_limited', 0, { total: 0, page: 1, limit: 10, pages: 0 }],
};

for (const [name, [query, length, pagination]] of Object.entries(pages)) {
  test(`list: ${name}`, () => {
    const all = Array.from({ length: 25 }, (_, i) => session(i + 1, i === 20 ? { state: 'connected' } : {}));
    const got = bodies.page(all, new URLSearchParams(query));
    assert.deepEqual([got.sessions.length, got.pagination, got.total], [length, pagination, pagination.total]);
  });
}

const valid = { sessionId: 'abc_-9', sessionName: 'x' };
const inputs = {
  'the least': [valid, true],
  'all digits': [{ ...valid, sessionId: '5550100' }, true],
  'a name under its older name': [{ sessionId: 'abc', name: 'x' }, true],
  'fields of the CRM': [{ ...valid, fromFrappe: true, autoReconnect: true, description: 'x' }, true],
  'a webhook': [{ ...valid, webhookUrl: 'https://crm.example/x', webhookSecret: 'sixteen-letters!', webhookEvents: ['session.qr'] }, true],
  'no sessionId': [{ sessionName: 'x' }, false],
  'a short sessionId': [{ ...valid, sessionId: 'ab' }, false],
  'a long sessionId': [{ ...valid, sessionId: 'a'.repeat(101) }, false],
  'a sessionId with a slash': [{ ...valid, sessionId: '../etc' }, false],
  'a sessionId that is a number': [{ ...valid, sessionId: 12345 }, false],
  'no name': [{ sessionId: 'abc' }, false],
  'a long name': [{ ...valid, sessionName: 'x'.repeat(256) }, false],
  'a webhook without TLS': [{ ...valid, webhookUrl: 'http://crm.example/x' }, false],
  'a webhook to a file': [{ ...valid, webhookUrl: 'file:///etc/passwd' }, false],
  'a short secret': [{ ...valid, webhookSecret: 'short' }, false],
  'events that are no list': [{ ...valid, webhookEvents: 'session.qr' }, false],
};

for (const [name, [body, good]] of Object.entries(inputs)) {
  test(`create: ${name}`, () => {
    const read = () => newSession(body, { fromFrappe: false, allowHttp: false });
    if (good) assert.equal(read().sessionId, body.sessionId);
    else assert.throws(read, { code: 'VALIDATION_ERROR' });
  });
}

test('absent webhook fields keep their value', () => {
  assert.deepEqual(webhookFields({ webhookUrl: 'https://crm.example/x' }, {}), { webhookUrl: 'https://crm.example/x' });
});
