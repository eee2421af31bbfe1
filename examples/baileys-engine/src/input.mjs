// Validation of request bodies. Pure functions that return the valid fields or throw a VALIDATION_ERROR.
import { invalidInput } from './errors.mjs';

const SESSION_ID = /^[A-Za-z0-9_-]{3,100}$/;

/** newSession reads the body of a create; fromFrappe is the X-Frappe-Origin header. */
export function newSession(body, { fromFrappe, allowHttp }) {
  const sessionName = body.sessionName ?? body.name;
  check(typeof body.sessionId === 'string' && SESSION_ID.test(body.sessionId));
  check(isText(sessionName, 1, 255));
  check(body.phoneNumber == null || isText(body.phoneNumber, 0, 32));
  return {
    sessionId: body.sessionId,
    sessionName,
    phoneNumber: null, // known once a phone has scanned; the client's value is not used
    sendToFrappe: fromFrappe || body.fromFrappe === true,
    webhookUrl: null,
    webhookSecret: null,
    webhookEvents: [],
    ...webhookFields(body, { allowHttp }),
  };
}

/** webhookFields reads what a create and PUT …/webhook have in common; absent fields keep their value. */
export function webhookFields({ webhookUrl, webhookSecret, webhookEvents }, { allowHttp }) {
  check(webhookUrl == null || isWebhookURL(webhookUrl, allowHttp));
  check(webhookSecret == null || isText(webhookSecret, 16, 255));
  check(webhookEvents == null || (Array.isArray(webhookEvents) && webhookEvents.every((name) => isText(name, 1, 64))));
  const given = { webhookUrl, webhookSecret, webhookEvents };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value != null));
}

function isWebhookURL(text, allowHttp) {
  if (!isText(text, 1, 2048) || !URL.canParse(text)) return false;
  return new URL(text).protocol === 'https:' || (allowHttp && new URL(text).protocol === 'http:');
}

function isText(value, min, max) {
  return typeof value === 'string' && value.length >= min && value.length <= max;
}

function check(condition) {
  if (!condition) throw invalidInput();
}
