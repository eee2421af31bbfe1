// One session: connect, QR, pairing, and reconnect after a lost connection.
import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import QRCode from 'qrcode';
import { openCredentials } from './credentials.mjs';
import { retryDelay, verdict } from './disconnects.mjs';
import { sessionNotFound } from './errors.mjs';
import { log } from './log.mjs';
import { openSocket } from './socket.mjs';

const QR_LIFE_MS = 60_000;
const LOGOUT_MS = 2000;
/** This many restarts without a code or a login in between are a loop. */
const MAX_RESTARTS = 5;

/** Session is the state in memory; its record is the state that survives the process. */
export class Session {
  state = 'disconnected';
  /** The current code as {image, generatedAt, expiresAt}, or null when there is none to scan. */
  qr = null;
  /** The times of the latest code stay visible after it is gone, as in the documented engine. */
  lastQR = null;
  /** Why the last connection ended: {code, message, cause, meaning, at}, or null. */
  lastDisconnect = null;

  #deps;
  #dir;
  #credentials = null; // a promise, shared by concurrent callers
  #forgotten = Promise.resolve();
  #socket = null;
  #running = false;
  #generation = 0; // identifies the current socket; events of older ones are ignored
  #failures = 0;
  #restarts = 0;
  #retry = null;
  #removed = false; // a call that was running during the deletion must not restore it

  /** @param deps {whatsapp, reconnectMs, save(), notify(record, event, data)} */
  constructor(record, dir, deps) {
    this.record = record;
    this.#dir = dir;
    this.#deps = deps;
  }

  get isConnected() {
    return this.state === 'connected';
  }

  /** inMemory: the documented engine knows the status only of sessions with a socket. */
  get inMemory() {
    return this.#socket !== null;
  }

  /** connect opens a socket unless one is open or opening; force replaces it. */
  async connect({ force = false } = {}) {
    if (this.#removed) throw sessionNotFound();
    if (this.#running && !force) return;
    void this.#drop();
    this.#running = true;
    this.#failures = 0;
    this.#restarts = 0;
    this.#become('connecting', null);
    await this.#open();
  }

  /** restore connects again after a restart of the process, if a phone was paired. */
  async restore() {
    if ((await this.#opened()).paired) await this.connect();
  }

  /** disconnect closes the socket and keeps the pairing: the next connect logs in again. */
  async disconnect() {
    const dropped = this.#drop();
    if (this.state !== 'disconnected') this.#announceEnd('requested');
    this.#become('disconnected', null);
    await dropped;
  }

  /** remove unpairs the phone if possible, then deletes all data. */
  async remove() {
    this.#removed = true;
    if (this.isConnected) await Promise.race([this.#socket.logout().catch(() => {}), pause(LOGOUT_MS)]);
    await this.#drop();
    await this.#forget();
  }

  /** close disconnects and waits until everything is on disk; nothing is unpaired. */
  async close() {
    await this.#drop();
    await (await Promise.resolve(this.#credentials).catch(() => null))?.settled();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#running = false;
    this.#generation += 1;
    this.qr = null;
    clearTimeout(this.#retry);
    return socket?.close();
  }

  #forget() {
    const old = this.#credentials;
    this.#credentials = null;
    this.record.phoneNumber = null;
    this.#forgotten = Promise.resolve(old)
      .then((credentials) => credentials?.seal(), () => {}) // unreadable credentials can still be removed
      .then(() => rm(this.#dir, { recursive: true, force: true }));
    return this.#forgotten;
  }

  #opened() {
    this.#credentials ??= this.#forgotten.then(() => openCredentials(this.#dir)).catch((error) => {
      this.#credentials = null;
      throw error;
    });
    return this.#credentials;
  }

  async #open() {
    const generation = ++this.#generation;
    try {
      const credentials = await this.#opened();
      if (generation !== this.#generation) return;
      this.#socket = openSocket(credentials, this.#deps.whatsapp, (news) => {
        if (generation === this.#generation) void this.#on(news, credentials, generation);
      });
    } catch (error) {
      this.#running = false;
      this.#become('error', { code: null, message: 'The credentials of this session cannot be read', cause: error.code ?? null, meaning: null });
      throw error;
    }
  }

  async #on(news, credentials, generation) {
    if (news.qr) await this.#showQR(news.qr, generation);
    if (news.paired) this.#scanned();
    if (news.open) this.#loggedIn(credentials);
    if ('closed' in news) await this.#ended(verdict(news.closed, credentials));
  }

  async #showQR(code, generation) {
    const generatedAt = new Date();
    const image = await QRCode.toDataURL(code);
    if (generation !== this.#generation) return;
    this.#restarts = 0;
    this.qr = { image, generatedAt, expiresAt: new Date(generatedAt.getTime() + QR_LIFE_MS) };
    this.lastQR = { generatedAt, expiresAt: this.qr.expiresAt };
    this.#become('qr_code', null);
    this.#deps.notify(this.record, 'session.qr', {
      qrCode: image, expiresAt: this.qr.expiresAt.toISOString(), status: 'qr_code',
    });
  }

  #scanned() {
    this.qr = null;
    this.#become('connecting', null);
  }

  #loggedIn(credentials) {
    this.#failures = 0;
    this.#restarts = 0;
    this.record.phoneNumber = credentials.phoneNumber;
    this.#become('connected', null);
    this.#deps.notify(this.record, 'session.connected', { phoneNumber: credentials.phoneNumber, status: 'connected' });
  }

  async #ended({ then, state, disconnect }) {
    const wasConnected = this.isConnected;
    this.#socket = null;
    this.#generation += 1;
    this.qr = null;
    if (then === 'restart' && ++this.#restarts > MAX_RESTARTS) [then, state] = ['stop', 'error'];
    if (then === 'unlink') void this.#forget().catch(() => {});
    this.#become(state, disconnect);
    if (then === 'restart') return this.#open().catch(() => {});
    if (then === 'retry') this.#openLater();
    else this.#running = false;
    if (wasConnected || then !== 'retry') this.#announceEnd(disconnect.meaning ?? disconnect.message);
  }

  #openLater() {
    const delay = retryDelay(this.#deps.reconnectMs, this.#failures++);
    this.#retry = setTimeout(() => void this.#open().catch(() => {}), delay);
  }

  #announceEnd(reason) {
    this.#deps.notify(this.record, 'session.disconnected', { reason, status: 'disconnected' });
  }

  #become(state, disconnect) {
    const from = this.state;
    const now = new Date().toISOString();
    this.state = state;
    this.lastDisconnect = disconnect && { ...disconnect, at: now };
    this.record.lastActivity = now;
    if (from !== state || disconnect) {
      log('state', { id: this.record.id, from, to: state, code: disconnect?.code, message: disconnect?.message, cause: disconnect?.cause ?? undefined, meaning: disconnect?.meaning ?? undefined });
      this.#deps.save();
    }
  }
}
