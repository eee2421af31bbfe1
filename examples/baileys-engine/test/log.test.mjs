import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';

const run = (script) => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: new URL('..', import.meta.url), encoding: 'utf8' });
  return { stdout, stderr };
};

test('after silenceConsole, library output is dropped and the log is not', () => {
  const print = "for (const m of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir']) console[m]('privKey');";
  assert.match(run(print).stdout, /privKey/);
  const { stdout, stderr } = run(`import { log, silenceConsole } from './src/log.mjs'; silenceConsole(); ${print} log('state', { id: 1 });`);
  assert.equal(stdout, '');
  const { time, ...rest } = JSON.parse(stderr);
  assert.deepEqual(rest, { event: 'state', id: 1 });
  assert.ok(Date.parse(time));
});
