// Browsers call the API across origins with a header of their own, so preflights must be answered.
// There are no cookies: only the key in the header authorizes, so allowing any origin is safe.

/** corsHeaders are sent with every response. Without a list, any origin is allowed. */
export function corsHeaders(origin, allowed) {
  const headers = { Vary: 'Origin', 'Access-Control-Allow-Credentials': 'true' };
  if (origin && (allowed.length === 0 || allowed.includes(origin))) headers['Access-Control-Allow-Origin'] = origin;
  return headers;
}

/** preflightHeaders are sent in response to OPTIONS. */
export function preflightHeaders(request) {
  const headers = { 'Access-Control-Allow-Methods': 'GET,HEAD,PUT,PATCH,POST,DELETE', 'Content-Length': '0' };
  const asked = request['access-control-request-headers'];
  if (!asked) return headers;
  return { ...headers, Vary: 'Origin, Access-Control-Request-Headers', 'Access-Control-Allow-Headers': asked };
}
