// The session routes. A handler receives a call and returns {status, body}.
import * as bodies from './bodies.mjs';
import { ApiError, alreadyConnected, connectionFailed, qrUnavailable, sessionExists, sessionNotFound } from './errors.mjs';
import { newSession, webhookFields } from './input.mjs';

const PATH = /^\/api\/sessions(?:\/(?<ref>[^/]+)(?:\/(?<action>[a-z]+))?)?\/?$/;
const CONNECTING = 'Sesión iniciada, generando QR o reconectando...';

/** route finds the handler of a method and path, and the session that the path names; else undefined. */
export function route(method, pathname) {
  const match = PATH.exec(pathname)?.groups;
  if (!match) return undefined;
  const { ref, action = '' } = match;
  if (ref === undefined) return known(collection, method);
  if (ref === 'stats' && action === '') return known(statics, method);
  const handler = known(items, action ? `${method} ${action}` : method);
  return handler && ((call) => handler(call, one(call, decode(ref))));
}

const known = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

function decode(ref) {
  try {
    return decodeURIComponent(ref);
  } catch {
    throw sessionNotFound();
  }
}

function one({ sessions, owner }, ref) {
  const session = sessions.find(owner, ref);
  if (!session) throw sessionNotFound();
  return session;
}

const ok = (data, message, status = 200) => ({ status, body: { success: true, ...(message && { message }), data } });
const names = ({ record }) => ({ id: record.id, sessionId: record.sessionId });

const collection = {
  GET: ({ sessions, owner, query }) => ok(bodies.page(sessions.list(owner), query)),

  async POST({ sessions, owner, body, fromFrappe, config }) {
    const fields = newSession(body, { fromFrappe, allowHttp: config.webhooks.allowHttp });
    if (sessions.list(owner).some(({ record }) => record.sessionId === fields.sessionId)) throw sessionExists();
    return ok(bodies.created(await sessions.create(owner, fields)), 'Sesión creada correctamente', 201);
  },
};

const statics = {
  GET: ({ sessions, owner }) => ok(bodies.stats(sessions.list(owner))),
};

const items = {
  GET: (_call, session) => ok(bodies.detail(session)),

  async DELETE({ sessions }, session) {
    await sessions.remove(session);
    return ok(names(session), 'Sesión eliminada correctamente');
  },

  // From memory, as documented; with status404 it returns 404 like the engine of the incident.
  'GET status'({ config }, session) {
    if (config.status404 && !session.inMemory) throw sessionNotFound();
    return ok(bodies.status(session));
  },

  // At once, whatever the reason for the missing code. Waiting is the gateway's task.
  'GET qr'(_call, session) {
    if (session.isConnected) throw alreadyConnected();
    if (!session.qr) throw qrUnavailable();
    return ok(bodies.qr(session));
  },

  async 'POST connect'({ body }, session) {
    await connect(session, { force: body.force === true });
    return ok({ ...names(session), status: session.isConnected ? 'connected' : 'connecting' }, CONNECTING);
  },

  async 'POST restart'(_call, session) {
    await session.disconnect();
    await connect(session, {});
    return ok({ ...names(session), status: 'connecting' }, 'Sesión reiniciada correctamente');
  },

  async 'POST disconnect'(_call, session) {
    await session.disconnect();
    return ok({ ...names(session), status: 'disconnected' }, 'Sesión desconectada correctamente');
  },

  async 'PUT webhook'({ sessions, body, config }, session) {
    await sessions.update(session, webhookFields(body, config.webhooks));
    const { webhookUrl, webhookEvents } = session.record;
    return ok({ ...names(session), webhookUrl, webhookEvents }, 'Webhook actualizado correctamente');
  },
};

async function connect(session, options) {
  try {
    await session.connect(options);
  } catch (error) {
    throw error instanceof ApiError ? error : connectionFailed();
  }
}
