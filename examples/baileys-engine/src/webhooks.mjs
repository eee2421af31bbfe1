// Delivery of session events to the session's webhook, signed over the exact bytes.
import { createHmac } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { log } from './log.mjs';

const RETRIES = 3;
const MAX_WAITING = 50;

/** sign is the value of X-Webhook-Signature: HMAC-SHA256 of the body, keyed with the session's secret. */
export function sign(body, secret) {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

/** delivery makes the body and the headers of one event. It is pure. */
export function delivery(record, event, data, now = new Date()) {
  const timestamp = now.toISOString();
  const body = JSON.stringify({ event, sessionId: record.sessionId, data: { ...data, timestamp }, timestamp });
  const headers = {
    'Content-Type': 'application/json',
    'X-Webhook-Event': event,
    'X-Webhook-Session': record.sessionId,
    'X-Webhook-Timestamp': String(now.getTime()),
  };
  if (record.webhookSecret) headers['X-Webhook-Signature'] = sign(body, record.webhookSecret);
  return { url: record.webhookUrl, headers, body };
}

/** wanted reports whether a session subscribed to this event; no list means all of them. */
export function wanted(record, event) {
  if (!record.webhookUrl) return false;
  return !record.webhookEvents?.length || record.webhookEvents.includes(event);
}

/** Webhooks delivers in order per session, in the background, with a bounded queue. */
export class Webhooks {
  #queues = new Map();
  #stop = new AbortController();

  constructor({ retryMs, timeoutMs }) {
    this.retryMs = retryMs;
    this.timeoutMs = timeoutMs;
  }

  /** send queues one event of a session. Above fifty queued events, the oldest is dropped. */
  send(record, event, data) {
    if (!wanted(record, event) || this.#stop.signal.aborted) return;
    const queue = this.#queues.get(record.id);
    if (queue) {
      if (queue.length >= MAX_WAITING) queue.shift();
      queue.push(delivery(record, event, data));
      return;
    }
    const fresh = [delivery(record, event, data)];
    this.#queues.set(record.id, fresh);
    void this.#drain(record.id, fresh);
  }

  /** close drops undelivered events. */
  close() {
    this.#stop.abort();
  }

  async #drain(id, queue) {
    for (let next = queue.shift(); next; next = queue.shift()) await this.#deliver(id, next);
    this.#queues.delete(id);
  }

  async #deliver(id, { url, headers, body }) {
    const stop = this.#stop.signal;
    for (let attempt = 0; attempt <= RETRIES && !stop.aborted; attempt += 1) {
      if (attempt > 0) await pause(this.retryMs, undefined, { signal: stop }).catch(() => {});
      if (await this.#post(url, headers, body)) return;
    }
    if (!stop.aborted) log('webhook_failed', { id, webhook: headers['X-Webhook-Event'], attempts: RETRIES + 1 });
  }

  async #post(url, headers, body) {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.timeoutMs)]);
    try {
      const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
      await answer.body?.cancel();
      return answer.ok;
    } catch {
      return false;
    }
  }
}
