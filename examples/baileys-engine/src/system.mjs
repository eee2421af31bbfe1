// The two public routes: health and welcome.

const VERSION = '1.0.0';

/** health is the body of GET /health. */
export function health(now = new Date()) {
  return {
    success: true,
    message: 'API funcionando correctamente',
    timestamp: now.toISOString(),
    version: VERSION,
    environment: process.env.NODE_ENV || 'production',
  };
}

/** welcome is the body of GET /. */
export function welcome() {
  return {
    success: true,
    message: 'WhatsApp session engine',
    version: VERSION,
    documentation: '/api/docs',
    health: '/health',
    endpoints: { sessions: '/api/sessions' },
  };
}
