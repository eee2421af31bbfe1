import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { readConfig } from '../src/config.mjs';
import { openSessions } from '../src/sessions.mjs';
import { Webhooks } from '../src/webhooks.mjs';
import { temporary } from './harness.mjs';

async function open(t) {
  const config = readConfig({ ENGINE_API_KEYS: 'a:key-a', ENGINE_DATA_DIR: temporary(t) });
  const saved = () => JSON.parse(readFileSync(path.join(config.dataDir, 'sessions.json'), 'utf8')).sessions;
  return { sessions: await openSessions(config, new Webhooks(config.webhooks)), saved };
}

const fields = { sessionId: 'abc', sessionName: 'x' };

test('a create is on disk before it is answered', async (t) => {
  const { sessions, saved } = await open(t);
  await sessions.create('a', fields);
  assert.deepEqual(saved().map(({ id, sessionId, owner }) => [id, sessionId, owner]), [[1, 'abc', 'a']]);
});

test('after close everything is on disk, also what nobody waited for', async (t) => {
  const { sessions, saved } = await open(t);
  const session = await sessions.create('a', fields);
  session.record.phoneNumber = '5550100';
  await sessions.close();
  assert.equal(saved()[0].phoneNumber, '5550100');
});

test('many changes at once end with the last one on disk', async (t) => {
  const { sessions, saved } = await open(t);
  const session = await sessions.create('a', fields);
  await Promise.all(Array.from({ length: 50 }, (_, i) => sessions.update(session, { sessionName: `name ${i}` })));
  assert.equal(saved()[0].sessionName, 'name 49');
});
