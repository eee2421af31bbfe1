import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { ConfigError, readConfig } from '../src/config.mjs';

const KEYS = { ENGINE_API_KEYS: 'a:key-a' };

test('the defaults are those of the documented engine', () => {
  const config = readConfig(KEYS);
  assert.deepEqual(config.limits, { general: { max: 1000, windowSeconds: 900 }, sessions: { max: 30, windowSeconds: 60 } });
  assert.deepEqual([config.host, config.status404, config.whatsapp.url], ['127.0.0.1', false, undefined]);
});

test('keys are accepted with and without a name', () => {
  assert.deepEqual(readConfig({ ENGINE_API_KEYS: 'a:key-a, key-b' }).apiKeys, [{ name: 'a', key: 'key-a' }, { name: null, key: 'key-b' }]);
});

const mistakes = {
  ENGINE_API_KEYS: ['', ':key-a', 'a:'],
  PORT: ['x', '-1', '65536', '1.5'],
  ENGINE_STATUS_404: ['yes'],
  WA_WEB_SOCKET_URL: ['http://127.0.0.1/', 'nonsense'],
  WA_NOISE_ROOT: ['00', 'g'.repeat(64)],
  WA_VERSION: ['2.3000'],
  WA_QR_TIMEOUT_MS: ['0'],
};

for (const [name, values] of Object.entries(mistakes)) {
  test(`a bad ${name} stops the start with a sentence that names it`, () => {
    for (const value of values) {
      assert.throws(() => readConfig({ ...KEYS, [name]: value }), (error) => error instanceof ConfigError && error.message.startsWith(name), value);
    }
  });
}

test('the README names every variable, and no other', () => {
  const source = readFileSync(new URL('../src/config.mjs', import.meta.url), 'utf8');
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const names = (text, pattern) => [...new Set([...text.matchAll(pattern)].map(([, name]) => name))].sort();
  assert.deepEqual(
    names(readme, /^\| `([A-Z0-9_]+)`/gm),
    names(source, /(?:env\.|env, ')((?:PORT|HOST|ENGINE_|WA_)[A-Z0-9_]*)/g),
  );
});
