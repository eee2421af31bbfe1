import assert from 'node:assert/strict';
import test from 'node:test';
import { retryDelay, verdict } from '../src/disconnects.mjs';

const boom = (statusCode, message, data) => Object.assign(new Error(message), { output: { statusCode }, data });

const cases = {
  'restart after pairing': [boom(515, 'Stream Errored (restart required)'), true, 'restart', 'connecting', 515],
  'restart before pairing': [boom(515, 'Stream Errored (restart required)'), false, 'restart', 'connecting', 515],
  'logged out': [boom(401, 'Stream Errored (conflict)'), true, 'unlink', 'disconnected', 401],
  'refused before pairing': [boom(401, 'Connection Failure'), false, 'stop', 'error', 401],
  'outdated, linked or not': [boom(405, 'Connection Failure'), true, 'stop', 'error', 405],
  'taken over: no tug of war': [boom(440, 'Stream Errored (conflict)'), true, 'stop', 'disconnected', 440],
  'cut while linked': [boom(428, 'Connection Terminated'), true, 'retry', 'connecting', 428],
  'cut before a scan': [boom(428, 'Connection Terminated'), false, 'stop', 'disconnected', 428],
  'codes ran out': [boom(408, 'QR refs attempts ended'), false, 'stop', 'disconnected', 408],
  'server trouble while linked': [boom(503, 'Connection Failure'), true, 'retry', 'connecting', 503],
  'a proxy says 401: nobody was logged out': [Object.assign(new Error('HTTP 401'), { upgradeStatus: 401 }), true, 'retry', 'connecting', 401],
  'an error without a code': [new Error('invalid wire type'), false, 'stop', 'disconnected', null],
  'no error at all': [null, false, 'stop', 'disconnected', null],
};

for (const [name, [error, paired, then, state, code]] of Object.entries(cases)) {
  test(`verdict: ${name}`, () => {
    const got = verdict(error, { paired });
    assert.deepEqual([got.then, got.state, got.disconnect.code], [then, state, code]);
  });
}

test('the cause of a refused connection is kept, accounts and numbers are not', () => {
  const { disconnect } = verdict(boom(408, 'WebSocket Error (to 5550100@s.whatsapp.net, 15550100999)', { code: 'ECONNREFUSED' }), { paired: false });
  assert.equal(disconnect.cause, 'ECONNREFUSED');
  assert.equal(disconnect.message, 'WebSocket Error (to […] […])');
});

test('the delay before a retry doubles, up to a minute', () => {
  assert.deepEqual([0, 1, 2, 5, 6, 1000].map((failures) => retryDelay(1000, failures)), [1000, 2000, 4000, 32_000, 60_000, 60_000]);
});
