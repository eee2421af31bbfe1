import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import test from 'node:test';
import { delivery, sign, wanted, Webhooks } from '../src/webhooks.mjs';
import { startReceiver, until } from './harness.mjs';

const record = { id: 1, sessionId: 'abc', webhookUrl: 'https://crm.example/hook', webhookSecret: 'sixteen-letters!', webhookEvents: [] };
const NOW = new Date('2025-11-06T06:32:58.123Z');

test('the signature is the documented one', () => {
  // echo -n '{"event":"x"}' | openssl dgst -sha256 -hmac key
  assert.equal(sign('{"event":"x"}', 'key'), 'sha256=774be471c03553e6ffcb7759081933cd2e124c9c7992b81f64c20005644925fa');
  assert.notEqual(sign('{"event":"y"}', 'key'), sign('{"event":"x"}', 'key'));
});

test('a delivery nests its data and signs the bytes that are sent', () => {
  const { headers, body } = delivery(record, 'session.disconnected', { reason: 'requested', status: 'disconnected' }, NOW);
  assert.deepEqual(JSON.parse(body), {
    event: 'session.disconnected',
    sessionId: 'abc',
    data: { reason: 'requested', status: 'disconnected', timestamp: '2025-11-06T06:32:58.123Z' },
    timestamp: '2025-11-06T06:32:58.123Z',
  });
  assert.deepEqual(headers, {
    'Content-Type': 'application/json',
    'X-Webhook-Event': 'session.disconnected',
    'X-Webhook-Session': 'abc',
    'X-Webhook-Timestamp': '1762410778123',
    'X-Webhook-Signature': `sha256=${createHmac('sha256', record.webhookSecret).update(body).digest('hex')}`,
  });
});

test('without a secret there is no signature', () => {
  assert.equal(delivery({ ...record, webhookSecret: null }, 'session.qr', {}, NOW).headers['X-Webhook-Signature'], undefined);
});

test('only subscribed events are sent; no list means all', () => {
  assert.equal(wanted({ ...record, webhookUrl: null }, 'session.qr'), false);
  assert.equal(wanted(record, 'session.qr'), true);
  assert.equal(wanted({ ...record, webhookEvents: ['session.connected'] }, 'session.qr'), false);
  assert.equal(wanted({ ...record, webhookEvents: ['session.connected'] }, 'session.connected'), true);
});

const retries = {
  'a first success is the end': { statuses: [200], attempts: 1 },
  'a redirect is no success': { statuses: [302, 204], attempts: 2 },
  'the third retry may succeed': { statuses: [500, 404, 503, 201], attempts: 4 },
  'after three retries it gives up': { statuses: [500, 500, 500, 500, 500], attempts: 4 },
};

for (const [name, { statuses, attempts }] of Object.entries(retries)) {
  test(`retries: ${name}`, async (t) => {
    const receiver = await startReceiver(t, [...statuses.slice(0, attempts)]);
    const webhooks = new Webhooks({ retryMs: 1, timeoutMs: 1000 });
    t.after(() => webhooks.close());
    webhooks.send({ ...record, webhookUrl: receiver.url }, 'session.qr', {});
    webhooks.send({ ...record, webhookUrl: receiver.url }, 'session.connected', {});
    const last = () => receiver.received.at(-1)?.headers['x-webhook-event'];
    await until(async () => ({ body: last() }), ({ body }) => body === 'session.connected', 'the second event');
    assert.equal(new Set(receiver.received.slice(0, -1).map(({ body }) => body)).size, 1, 'every try sends the same bytes');
    assert.equal(receiver.received.length, attempts + 1, 'in order: the second event waits for the first');
  });
}
