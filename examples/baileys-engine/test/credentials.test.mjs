import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { openCredentials } from '../src/credentials.mjs';
import { PHONE, temporary } from './harness.mjs';

test('what was saved is read again, bytes as bytes', async (t) => {
  const dir = temporary(t);
  const first = await openCredentials(dir);
  assert.deepEqual([first.paired, first.phoneNumber], [false, null]);
  first.creds.me = { id: `${PHONE}:9@s.whatsapp.net` };
  await first.save();
  await first.keys.set({ session: { [`${PHONE}.0`]: Buffer.from('secret') } });
  const second = await openCredentials(dir);
  assert.deepEqual([second.paired, second.phoneNumber], [true, PHONE]);
  assert.deepEqual(second.creds.noiseKey, first.creds.noiseKey);
  assert.deepEqual(await second.keys.get('session', [`${PHONE}.0`, 'other']), { [`${PHONE}.0`]: Buffer.from('secret'), other: null });
});

test('no file name contains a phone number, only this user may read, no draft stays', async (t) => {
  const dir = temporary(t);
  const credentials = await openCredentials(dir);
  await Promise.all([credentials.save(), credentials.save(), credentials.keys.set({ 'device-list': { [PHONE]: ['0'] } })]);
  const files = readdirSync(dir);
  assert.equal(files.length, 2);
  for (const file of files) {
    assert.doesNotMatch(file, new RegExp(PHONE));
    assert.equal(statSync(path.join(dir, file)).mode & 0o077, 0);
  }
});

test('writes keep their order, and a removed key is gone', async (t) => {
  const { keys } = await openCredentials(temporary(t));
  for (let i = 0; i < 20; i += 1) void keys.set({ 'pre-key': { 1: { n: i } } });
  assert.deepEqual(await keys.get('pre-key', ['1']), { 1: { n: 19 } });
  await keys.set({ 'pre-key': { 1: null } });
  assert.deepEqual(await keys.get('pre-key', ['1']), { 1: null });
});

test('after seal nothing is written', async (t) => {
  const dir = temporary(t);
  const credentials = await openCredentials(dir);
  await credentials.seal();
  await credentials.save();
  assert.equal(existsSync(path.join(dir, 'creds.json')), false);
});

test('a damaged identity is reported, not silently replaced', async (t) => {
  const dir = temporary(t);
  writeFileSync(path.join(dir, 'creds.json'), '{"noiseKey":');
  await assert.rejects(openCredentials(dir), SyntaxError);
});
