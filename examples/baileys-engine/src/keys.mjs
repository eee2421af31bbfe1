// API keys. A key names an owner; an owner sees only the sessions it created.
import { createHash } from 'node:crypto';

const digest = (text) => createHash('sha256').update(text).digest('hex');

/** Keys looks API keys up by digest, so that the duration reveals nothing about a stored key. */
export class Keys {
  #owners;

  constructor(entries) {
    this.#owners = new Map(entries.map(({ name, key }) => [digest(key), name ?? `key-${digest(key).slice(0, 12)}`]));
  }

  /** owner is the name of a key, or undefined. */
  owner(key) {
    return this.#owners.get(digest(key));
  }
}
