import assert from 'node:assert/strict';
import test from 'node:test';
import { generalHeaders, Limiter, sessionHeaders } from '../src/limits.mjs';

const NOW = Date.parse('2025-11-06T06:32:58.000Z');

test('a window allows its number of requests, then none until it ends', () => {
  const limiter = new Limiter({ max: 2, windowSeconds: 60 });
  const allowed = [0, 1000, 2000, 59_999, 60_000].map((after) => limiter.take('a', NOW + after).allowed);
  assert.deepEqual(allowed, [true, true, false, false, true]);
});

test('each client has a window of its own', () => {
  const limiter = new Limiter({ max: 1, windowSeconds: 60 });
  assert.deepEqual(['a', 'b', 'a'].map((client) => limiter.take(client, NOW).allowed), [true, true, false]);
});

test('the headers are those of the recorded engine', () => {
  const general = new Limiter({ max: 1000, windowSeconds: 900 });
  general.take('a', NOW);
  assert.deepEqual(generalHeaders(general, general.take('a', NOW + 500)), {
    'RateLimit-Policy': '1000;w=900', 'RateLimit-Limit': '1000', 'RateLimit-Remaining': '998', 'RateLimit-Reset': '900',
  });
  const sessions = new Limiter({ max: 30, windowSeconds: 60 });
  assert.deepEqual(sessionHeaders(sessions, sessions.take('a', NOW)), {
    'X-RateLimit-Limit': '30', 'X-RateLimit-Remaining': '29', 'X-RateLimit-Reset': String(NOW / 1000 + 60),
  });
});

test('ended windows are removed, and many clients stay within bounds', () => {
  const limiter = new Limiter({ max: 1, windowSeconds: 60 });
  for (let i = 0; i < 10_001; i += 1) limiter.take(`client-${i}`, NOW);
  assert.equal(limiter.take('client-0', NOW).allowed, true, 'the oldest window was given up');
  assert.equal(limiter.take('client-10000', NOW).allowed, false, 'the newest was kept');
});
