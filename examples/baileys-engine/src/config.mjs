// Settings, read once, with an error text for each mistake.
import path from 'node:path';

/** ConfigError names the wrong variable and its valid values. */
export class ConfigError extends Error {}

/** readConfig turns environment variables into a frozen object, or throws ConfigError. */
export function readConfig(env) {
  return Object.freeze({
    host: env.HOST || '127.0.0.1',
    port: integer(env, 'PORT', 8084, 0, 65535),
    dataDir: path.resolve(env.ENGINE_DATA_DIR || 'engine-data'),
    apiKeys: apiKeys(env.ENGINE_API_KEYS),
    corsOrigins: list(env.ENGINE_CORS_ORIGINS),
    status404: flag(env, 'ENGINE_STATUS_404'),
    reconnectMs: integer(env, 'ENGINE_RECONNECT_MS', 1000, 1, 60_000),
    limits: {
      general: { max: integer(env, 'ENGINE_GENERAL_LIMIT', 1000, 1), windowSeconds: integer(env, 'ENGINE_GENERAL_WINDOW_S', 900, 1, 86_400) },
      sessions: { max: integer(env, 'ENGINE_SESSION_LIMIT', 30, 1), windowSeconds: integer(env, 'ENGINE_SESSION_WINDOW_S', 60, 1, 86_400) },
    },
    webhooks: {
      allowHttp: flag(env, 'ENGINE_WEBHOOK_ALLOW_HTTP'),
      retryMs: integer(env, 'ENGINE_WEBHOOK_RETRY_MS', 1000, 1, 60_000),
      timeoutMs: integer(env, 'ENGINE_WEBHOOK_TIMEOUT_MS', 7000, 1, 60_000),
    },
    whatsapp: {
      url: websocketURL(env.WA_WEB_SOCKET_URL),
      noiseRoot: noiseRoot(env.WA_NOISE_ROOT),
      version: version(env.WA_VERSION),
      qrTimeoutMs: integer(env, 'WA_QR_TIMEOUT_MS', undefined, 1),
      connectTimeoutMs: integer(env, 'WA_CONNECT_TIMEOUT_MS', undefined, 1),
      keepAliveMs: integer(env, 'WA_KEEPALIVE_MS', undefined, 1),
    },
  });
}

function integer(env, name, fallback, min, max = 2 ** 31 - 1) {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new ConfigError(`${name} must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function flag(env, name) {
  const text = env[name] ?? '';
  if (!['', '0', '1'].includes(text)) throw new ConfigError(`${name} must be 0 or 1`);
  return text === '1';
}

function list(text = '') {
  return text.split(',').map((item) => item.trim()).filter(Boolean);
}

// An entry is "name:key", or a key alone. The error never repeats the value, because it contains keys.
function apiKeys(text) {
  const entries = list(text).map((item) => {
    const colon = item.indexOf(':');
    return colon < 0 ? { name: null, key: item } : { name: item.slice(0, colon), key: item.slice(colon + 1) };
  });
  if (entries.length === 0) throw new ConfigError('ENGINE_API_KEYS must hold at least one "name:key", separated by commas');
  if (entries.some(({ name, key }) => name === '' || key === '')) {
    throw new ConfigError('ENGINE_API_KEYS has an entry with an empty name or an empty key');
  }
  return entries;
}

function websocketURL(text) {
  if (!text) return undefined;
  if (!URL.canParse(text) || !['ws:', 'wss:'].includes(new URL(text).protocol)) {
    throw new ConfigError('WA_WEB_SOCKET_URL must be a ws:// or wss:// address');
  }
  return text;
}

function noiseRoot(text) {
  if (!text) return undefined;
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new ConfigError('WA_NOISE_ROOT must be 64 hexadecimal digits');
  return Buffer.from(text, 'hex');
}

function version(text) {
  if (!text) return undefined;
  if (!/^\d+\.\d+\.\d+$/.test(text)) throw new ConfigError('WA_VERSION must look like 2.3000.1043857760');
  return text.split('.').map(Number);
}
