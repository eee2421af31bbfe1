// The secrets of one paired device, on disk, in the form that Baileys expects.
//
// Baileys has useMultiFileAuthState, "not for production": it writes in place, so a crash can lose the
// pairing, and its file names contain phone numbers. This one renames files, and hashes their names.
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { BufferJSON, initAuthCreds, proto } from '@whiskeysockets/baileys';
import { readJSON, writeJSON } from './files.mjs';

/** openCredentials reads the directory of a session, or creates a new identity in it. */
export async function openCredentials(dir) {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const creds = (await readJSON(path.join(dir, 'creds.json'), BufferJSON.reviver)) ?? initAuthCreds();
  return new Credentials(dir, creds);
}

/** Credentials keeps reads and writes in the order of the calls. */
class Credentials {
  #last = Promise.resolve();
  #sealed = false;

  constructor(dir, creds) {
    this.dir = dir;
    this.creds = creds;
    this.keys = { get: (type, ids) => this.#get(type, ids), set: (data) => this.#set(data) };
  }

  /** id is the number of the session: the name of its directory. */
  get id() {
    return Number(path.basename(this.dir));
  }

  /** paired is true once a phone has scanned: from then on a connect is a login and shows no QR. */
  get paired() {
    return Boolean(this.creds.me?.id);
  }

  /** phoneNumber is the paired number in digits, or null. */
  get phoneNumber() {
    return this.creds.me?.id?.split(/[:@]/)[0] ?? null;
  }

  /** save writes the identity; Baileys changes it in place and emits an event. A pairing that is not on disk is lost with the process. */
  save() {
    return this.#inOrder(() => writeJSON(path.join(this.dir, 'creds.json'), this.creds, { replacer: BufferJSON.replacer, flush: true }));
  }

  /** settled resolves when all writes so far are on disk. */
  settled() {
    return this.#last;
  }

  /** seal ends all writing, before the directory is removed. */
  seal() {
    this.#sealed = true;
    return this.#last;
  }

  #get(type, ids) {
    return this.#inOrder(async () => {
      const values = await Promise.all(ids.map((id) => readJSON(this.#file(type, id), BufferJSON.reviver)));
      return Object.fromEntries(ids.map((id, i) => [id, decode(type, values[i])]));
    });
  }

  #set(data) {
    const entries = Object.entries(data).flatMap(([type, values]) =>
      Object.entries(values).map(([id, value]) => [this.#file(type, id), value]));
    return this.#inOrder(() => Promise.all(entries.map(([file, value]) =>
      (value ? writeJSON(file, value, { replacer: BufferJSON.replacer }) : rm(file, { force: true })))));
  }

  #inOrder(work) {
    const done = this.#last.then(() => (this.#sealed ? {} : work()));
    this.#last = done.catch(() => {});
    return done;
  }

  #file(type, id) {
    return path.join(this.dir, `${type}-${createHash('sha256').update(id).digest('hex').slice(0, 32)}.json`);
  }
}

function decode(type, value) {
  if (type === 'app-state-sync-key' && value) return proto.Message.AppStateSyncKeyData.fromObject(value);
  return value ?? null;
}
