// Package api holds the OpenAPI document of qrgate.
package api

import _ "embed"

//go:generate go test ../internal/test/openapitest -run TestHTTPFile -update

// OpenAPI is the document, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
