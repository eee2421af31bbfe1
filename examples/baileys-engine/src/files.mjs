// JSON files with atomic writes.
import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';

/** readJSON returns undefined for a missing file, and throws for an unreadable one. */
export async function readJSON(file, reviver) {
  try {
    return JSON.parse(await readFile(file, 'utf8'), reviver);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** writeJSON writes beside the file, then renames. Only this user may read it. flush waits for the disk. */
export async function writeJSON(file, value, { replacer, flush = false } = {}) {
  const draft = `${file}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, JSON.stringify(value, replacer), { mode: 0o600, flush });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {}); // do not fill a full disk further
    throw error;
  }
}
