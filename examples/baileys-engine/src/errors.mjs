// The errors of the documented API. Texts and codes are the wire contract: clients match on them.

/** ApiError is an error response of the API. */
export class ApiError extends Error {
  constructor(status, code, text) {
    super(text);
    this.status = status;
    this.code = code;
  }
}

const make = (status, code, text) => () => new ApiError(status, code, text);

export const missingKey = make(401, 'MISSING_API_KEY', 'API key requerida');
export const invalidKey = make(401, 'INVALID_API_KEY', 'API key inválida');
export const rateLimited = make(429, 'RATE_LIMIT_EXCEEDED', 'Demasiadas solicitudes');
export const routeNotFound = make(404, 'NOT_FOUND', 'Ruta no encontrada');
export const sessionNotFound = make(404, 'SESSION_NOT_FOUND', 'Sesión no encontrada');
export const sessionExists = make(409, 'SESSION_ALREADY_EXISTS', 'La sesión ya existe');
export const alreadyConnected = make(400, 'SESSION_ALREADY_CONNECTED', 'La sesión ya está conectada');
export const invalidInput = make(400, 'VALIDATION_ERROR', 'Datos de entrada inválidos');
export const bodyTooLarge = make(413, 'PAYLOAD_TOO_LARGE', 'Solicitud demasiado grande');
export const qrUnavailable = make(500, 'QR_GENERATION_ERROR', 'Error obteniendo código QR');
export const connectionFailed = make(500, 'CONNECTION_ERROR', 'Error conectando sesión');
export const internal = make(500, 'INTERNAL_ERROR', 'Error interno del servidor');

/** errorBody has exactly these four fields, in this order; existing clients were recorded against it. */
export function errorBody(error, now = new Date()) {
  return { success: false, error: error.message, code: error.code, timestamp: now.toISOString() };
}
