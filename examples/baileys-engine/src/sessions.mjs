// All sessions: owners, lookup and persistence.
import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { readJSON, writeJSON } from './files.mjs';
import { log } from './log.mjs';
import { Session } from './session.mjs';

/** openSessions reads the data directory. It connects no session. */
export async function openSessions(config, webhooks) {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const file = path.join(config.dataDir, 'sessions.json');
  const saved = (await readJSON(file)) ?? { nextId: 1, sessions: [] };
  return new Sessions(config, webhooks, file, saved);
}

/** Sessions keeps records in one small JSON file and credentials in one directory per session. */
class Sessions {
  #byId = new Map();
  #saving = Promise.resolve();
  #dirty = false;

  constructor(config, webhooks, file, saved) {
    this.file = file;
    this.dataDir = config.dataDir;
    this.nextId = saved.nextId;
    this.deps = {
      whatsapp: config.whatsapp,
      reconnectMs: config.reconnectMs,
      save: () => void this.save().catch(() => {}), // save logs the error, and the next change saves again
      notify: (record, event, data) => webhooks.send(record, event, data),
    };
    for (const record of saved.sessions) this.#add(record);
  }

  /** restore connects every session with a paired phone. */
  async restore() {
    await Promise.all([...this.#byId.values()].map((session) => session.restore().catch(() => {
      log('restore_failed', { id: session.record.id });
    })));
  }

  /** list returns the sessions of one owner, oldest first. */
  list(owner) {
    return [...this.#byId.values()].filter((session) => session.record.owner === owner);
  }

  /** find accepts both kinds of identifier; digits are tried as the number first. */
  find(owner, ref) {
    const byNumber = /^\d{1,15}$/.test(ref) ? this.#byId.get(Number(ref)) : undefined;
    if (byNumber?.record.owner === owner) return byNumber;
    return this.list(owner).find((session) => session.record.sessionId === ref);
  }

  /**
   * create adds a session and saves it before it responds. A session that cannot be saved is not created: after a
   * restart, another session would get its number and the pairing that is stored under that number.
   */
  async create(owner, fields) {
    const now = new Date().toISOString();
    const record = { id: this.nextId++, owner, ...fields, createdAt: now, updatedAt: now, lastActivity: now };
    rmSync(this.#auth(record), { recursive: true, force: true }); // remove leftovers, synchronously, so that no other create runs in between
    const session = this.#add(record);
    try {
      await this.save();
    } catch (error) {
      this.#byId.delete(record.id);
      throw error;
    }
    return session;
  }

  /** update changes fields of a record and saves. */
  async update(session, fields) {
    Object.assign(session.record, fields, { updatedAt: new Date().toISOString() });
    await this.save();
  }

  /** remove unpairs a session and deletes its data. */
  async remove(session) {
    this.#byId.delete(session.record.id);
    await session.remove();
    await this.save().catch(() => {}); // the session is gone; at worst its record returns, unpaired
  }

  /** save writes the records, or throws; calls during a write share the next one. */
  save() {
    if (!this.#dirty) {
      this.#dirty = true;
      this.#saving = this.#saving.catch(() => {}).then(() => this.#write());
    }
    return this.#saving;
  }

  /** close disconnects all sessions, unpairs none, and leaves everything on disk. */
  async close() {
    await Promise.all([...this.#byId.values()].map((session) => session.close()));
    await this.save().catch(() => {});
  }

  #add(record) {
    const session = new Session(record, this.#auth(record), this.deps);
    this.#byId.set(record.id, session);
    return session;
  }

  #auth({ id }) {
    return path.join(this.dataDir, 'auth', String(id));
  }

  async #write() {
    this.#dirty = false;
    const sessions = [...this.#byId.values()].map((session) => session.record);
    try {
      await writeJSON(this.file, { nextId: this.nextId, sessions }, { flush: true });
    } catch (error) {
      log('save_failed', { code: error.code });
      throw error;
    }
  }
}
