'use strict'

// Requests can be sent from the page of clients only: it has the origin of the API.
const isForClients = location.pathname.includes('/_qrgate/')

SwaggerUIBundle({
  dom_id: '#viewer',
  url: 'openapi.yaml',
  deepLinking: true,
  validatorUrl: null,
  supportedSubmitMethods: isForClients ? undefined : [],
})
