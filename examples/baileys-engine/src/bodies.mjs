// JSON bodies of sessions. Pure functions.

/** created is `data` of a create: the documented engine nests it, contrary to its documents. */
export function created({ record, state }) {
  return { session: {
    id: record.id,
    sessionId: record.sessionId,
    sessionName: record.sessionName,
    status: state,
    phoneNumber: record.phoneNumber,
    sendToFrappe: record.sendToFrappe,
    createdAt: record.createdAt,
  } };
}

/** item is one element of `data.sessions`. The times of the last QR outlive the QR itself. */
export function item(session) {
  const { record, qr, lastQR } = session;
  return {
    id: record.id,
    sessionId: record.sessionId,
    sessionName: record.sessionName,
    status: session.state,
    phoneNumber: record.phoneNumber,
    isConnected: session.isConnected,
    hasQR: qr !== null,
    qrCode: qr?.image ?? null,
    qrCodeGeneratedAt: lastQR?.generatedAt.toISOString() ?? null,
    qrCodeExpiresAt: lastQR?.expiresAt.toISOString() ?? null,
    lastActivity: record.lastActivity,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    ...trouble(session),
  };
}

/** detail is `data` of GET /api/sessions/{id}. */
export function detail(session) {
  const profile = { name: null, about: null, profilePictureUrl: null, isBusiness: false };
  return { session: { ...item(session), profile } };
}

/** status is `data` of GET …/status. */
export function status(session) {
  const { record, qr } = session;
  return {
    id: record.id,
    sessionId: record.sessionId,
    status: session.state,
    phoneNumber: record.phoneNumber,
    lastActivity: record.lastActivity,
    isConnected: session.isConnected,
    hasQR: qr !== null,
    ...trouble(session),
  };
}

/** qr is `data` of GET …/qr, for a session that has a code. */
export function qr({ record, qr: code }) {
  return { qrCode: code.image, sessionId: record.sessionId, expiresAt: code.expiresAt.toISOString(), status: 'qr_code' };
}

/** page selects the part of a list that the query requests; numbers out of range are corrected, not refused. */
export function page(sessions, query) {
  const limit = Math.min(100, positive(query.get('limit'), 10));
  const number = positive(query.get('page'), 1);
  const wanted = query.get('status');
  const all = wanted ? sessions.filter((session) => session.state === wanted) : sessions;
  const total = all.length;
  return {
    sessions: all.slice((number - 1) * limit, number * limit).map(item),
    pagination: { total, page: number, limit, pages: Math.ceil(total / limit) },
    total,
  };
}

/** stats counts sessions by state; the documents specify the route but no shape. */
export function stats(sessions) {
  const counts = { connecting: 0, qr_code: 0, connected: 0, disconnected: 0, error: 0 };
  for (const session of sessions) counts[session.state] += 1;
  return { total: sessions.length, ...counts };
}

// Fields that the documented engine does not have; they state why there is no QR.
function trouble({ lastDisconnect }) {
  if (!lastDisconnect) return { error: null, lastDisconnect: null };
  const { code, message, cause, at } = lastDisconnect;
  return { error: lastDisconnect.meaning ?? message, lastDisconnect: { code, message, cause, at } };
}

function positive(text, fallback) {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : fallback;
}
