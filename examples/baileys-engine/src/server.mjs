// The HTTP server: parsing, rate limits, keys, responses.
import { createServer } from 'node:http';
import { ApiError, bodyTooLarge, errorBody, internal, invalidInput, invalidKey, missingKey, rateLimited, routeNotFound } from './errors.mjs';
import { generalHeaders, Limiter, sessionHeaders } from './limits.mjs';
import { log } from './log.mjs';
import { Keys } from './keys.mjs';
import { corsHeaders, preflightHeaders } from './cors.mjs';
import { route } from './routes.mjs';
import { health, welcome } from './system.mjs';

const MAX_BODY = 1 << 20;

/** newServer creates the engine's HTTP server; it does not listen yet. */
export function newServer(config, sessions) {
  const keys = new Keys(config.apiKeys);
  const general = new Limiter(config.limits.general);
  const perMinute = new Limiter(config.limits.sessions);

  async function serve(request, response) {
    for (const [name, value] of Object.entries(corsHeaders(request.headers.origin, config.corsOrigins))) response.setHeader(name, value);
    if (request.method === 'OPTIONS') return response.writeHead(204, preflightHeaders(request.headers)).end();
    const { status, body } = await answer(request, response);
    const text = JSON.stringify(body);
    response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text) });
    response.end(text);
  }

  async function answer(request, response) {
    try {
      return await dispatch(request, response);
    } catch (error) {
      const known = error instanceof ApiError ? error : internal();
      if (known !== error) log('request_failed', { name: error?.name, code: error?.code });
      return { status: known.status, body: errorBody(known) };
    }
  }

  async function dispatch(request, response) {
    const url = parse(request.url);
    if (request.method === 'GET' && url.pathname === '/health') return { status: 200, body: health() };
    if (request.method === 'GET' && url.pathname === '/') return { status: 200, body: welcome() };
    if (!url.pathname.startsWith('/api/')) throw routeNotFound();
    const key = request.headers['x-api-key'];
    const owner = key && keys.owner(key);
    limit(general, owner ?? request.socket.remoteAddress, generalHeaders, response);
    if (!/^\/api\/sessions(\/|$)/.test(url.pathname)) throw routeNotFound();
    if (!key) throw missingKey();
    if (!owner) throw invalidKey();
    limit(perMinute, owner, sessionHeaders, response);
    const handler = route(request.method, url.pathname);
    if (!handler) throw routeNotFound();
    const body = await readBody(request);
    return handler({ config, sessions, owner, body, query: url.searchParams, fromFrappe: request.headers['x-frappe-origin'] === 'true' });
  }

  return createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
}

function limit(limiter, client, headers, response) {
  const taken = limiter.take(client);
  for (const [name, value] of Object.entries(headers(limiter, taken))) response.setHeader(name, value);
  if (taken.allowed) return;
  response.setHeader('Retry-After', String(taken.secondsLeft));
  throw rateLimited();
}

function parse(target) {
  try {
    return new URL(`http://engine${target.startsWith('/') ? target : `/${target}`}`);
  } catch {
    throw routeNotFound();
  }
}

// Clients send Content-Type: application/json without a body, on GET too; that counts as an empty object.
async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw bodyTooLarge();
    chunks.push(chunk);
  }
  if (size === 0 || request.method === 'GET') return {};
  try {
    return objectOnly(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch {
    throw invalidInput();
  }
}

function objectOnly(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalidInput();
  return value;
}
