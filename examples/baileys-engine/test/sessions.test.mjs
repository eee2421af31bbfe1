import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { readConfig } from '../src/config.mjs';
import { openSessions } from '../src/sessions.mjs';
import { Webhooks } from '../src/webhooks.mjs';
import { temporary } from './harness.mjs';

async function open(t) {
  const config = readConfig({ ENGINE_API_KEYS: 'a:key-a', ENGINE_DATA_DIR: temporary(t) });
  const saved = () => JSON.parse(readFileSync(path.join(config.dataDir, 'sessions.json'), 'utf8')).sessions;
  return { sessions: await openSessions(config, new Webhooks(config.webhooks)), saved, dataDir: config.dataDir };
}

const fields = { sessionId: 'abc', sessionName: 'x' };

test('create saves before it responds', async (t) => {
  const { sessions, saved } = await open(t);
  await sessions.create('a', fields);
  assert.deepEqual(saved().map(({ id, sessionId, owner }) => [id, sessionId, owner]), [[1, 'abc', 'a']]);
});

test('after close everything is on disk', async (t) => {
  const { sessions, saved } = await open(t);
  const session = await sessions.create('a', fields);
  session.record.phoneNumber = '5550100';
  await sessions.close();
  assert.equal(saved()[0].phoneNumber, '5550100');
});

test('concurrent changes end with the last one on disk', async (t) => {
  const { sessions, saved } = await open(t);
  const session = await sessions.create('a', fields);
  await Promise.all(Array.from({ length: 50 }, (_, i) => sessions.update(session, { sessionName: `name ${i}` })));
  assert.equal(saved()[0].sessionName, 'name 49');
});

test('a create that cannot be saved fails and leaves nothing', async (t) => {
  const { sessions, saved, dataDir } = await open(t);
  const inTheWay = path.join(dataDir, 'sessions.json');
  mkdirSync(inTheWay);
  await assert.rejects(sessions.create('a', fields), { code: 'EISDIR' });
  assert.deepEqual(sessions.list('a'), []);
  assert.deepEqual(readdirSync(dataDir).filter((name) => name.endsWith('.tmp')), []);
  rmSync(inTheWay, { recursive: true });
  await sessions.create('a', fields);
  assert.equal(saved().length, 1);
});

test('a new session does not get the pairing left under its number', async (t) => {
  const { sessions, dataDir } = await open(t);
  const foreign = path.join(dataDir, 'auth', '1', 'creds.json');
  mkdirSync(path.dirname(foreign), { recursive: true });
  writeFileSync(foreign, '{"me":{"id":"5550100@s.whatsapp.net"}}');
  await sessions.create('a', fields);
  assert.equal(existsSync(foreign), false);
});

test('a running restart does not restore a deleted session', async (t) => {
  const { sessions, dataDir } = await open(t);
  const session = await sessions.create('a', fields);
  await sessions.remove(session);
  await assert.rejects(session.connect(), { code: 'SESSION_NOT_FOUND' });
  assert.equal(existsSync(path.join(dataDir, 'auth', '1')), false);
});
