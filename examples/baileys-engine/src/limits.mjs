// Two rate limiters, as recorded from the documented engine: a general one with the IETF draft
// headers (seconds left), and one for the session routes with X-RateLimit-* (a UNIX second).

const MAX_WINDOWS = 10_000;

/** Limiter counts requests per client in fixed windows that start with the client's first request. */
export class Limiter {
  #windows = new Map();

  constructor({ max, windowSeconds }) {
    this.max = max;
    this.windowSeconds = windowSeconds;
  }

  /** take counts one request of client at now (milliseconds) and returns what is left. */
  take(client, now = Date.now()) {
    let window = this.#windows.get(client);
    if (!window || window.endsAt <= now) {
      this.#evict(now);
      window = { used: 0, endsAt: now + this.windowSeconds * 1000 };
      this.#windows.delete(client); // keeps the map ordered by the start of the windows
      this.#windows.set(client, window);
    }
    window.used += 1;
    return {
      allowed: window.used <= this.max,
      remaining: Math.max(0, this.max - window.used),
      endsAt: window.endsAt,
      secondsLeft: Math.ceil((window.endsAt - now) / 1000),
    };
  }

  // All windows have the same length, so the oldest entry ends first.
  #evict(now) {
    for (const [client, window] of this.#windows) {
      if (window.endsAt > now && this.#windows.size < MAX_WINDOWS) return;
      this.#windows.delete(client);
    }
  }
}

/** generalHeaders are the headers of the limiter for /api. */
export function generalHeaders(limiter, taken) {
  return {
    'RateLimit-Policy': `${limiter.max};w=${limiter.windowSeconds}`,
    'RateLimit-Limit': String(limiter.max),
    'RateLimit-Remaining': String(taken.remaining),
    'RateLimit-Reset': String(taken.secondsLeft),
  };
}

/** sessionHeaders are the headers of the limiter for the session routes. */
export function sessionHeaders(limiter, taken) {
  return {
    'X-RateLimit-Limit': String(limiter.max),
    'X-RateLimit-Remaining': String(taken.remaining),
    'X-RateLimit-Reset': String(Math.ceil(taken.endsAt / 1000)),
  };
}
