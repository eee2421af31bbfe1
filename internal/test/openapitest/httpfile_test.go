package openapitest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"qrgate/internal/test/openapitest"
)

var update = flag.Bool("update", false, "rewrite api/qrgate.http")

const httpFile = "../../../api/qrgate.http"

// api/qrgate.http has one request for each operation of the document, for editors that send them.
func TestHTTPFile_IsCurrent(t *testing.T) {
	doc, err := openapitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := writeHTTPFile(doc)
	if *update {
		if err := os.WriteFile(httpFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(httpFile); err != nil || string(got) != want {
		t.Errorf("api/qrgate.http is outdated (%v): run go generate ./api", err)
	}
}

func writeHTTPFile(doc *openapi3.T) string {
	var b strings.Builder
	b.WriteString("# Generated from openapi.yaml by go generate ./api. Visual Studio Code (REST Client) and JetBrains editors send these.\n\n" +
		"@base = http://127.0.0.1:8080\n@key = your-key\n@id = shop-1\n@token = of-a-link\n")
	methods := []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete}
	paths := doc.Paths.Keys()
	slices.Sort(paths)
	for _, path := range paths {
		for _, method := range methods {
			if operation := doc.Paths.Value(path).GetOperation(method); operation != nil {
				writeRequest(&b, doc, method, path, operation)
			}
		}
	}
	return b.String()
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

func writeRequest(b *strings.Builder, doc *openapi3.T, method, path string, operation *openapi3.Operation) {
	title := operation.Summary
	if title == "" {
		title = method + " " + path
	}
	fmt.Fprintf(b, "\n### %s\n%s {{base}}%s\n", title, method, parameter.ReplaceAllString(path, "{{$1}}"))
	security := &doc.Security
	if operation.Security != nil {
		security = operation.Security
	}
	if len(*security) > 0 {
		b.WriteString("X-API-Key: {{key}}\n")
	}
	if operation.RequestBody != nil {
		if content := operation.RequestBody.Value.Content.Get("application/json"); content != nil && content.Example != nil {
			body, _ := json.MarshalIndent(content.Example, "", "  ")
			fmt.Fprintf(b, "Content-Type: application/json\n\n%s\n", body)
		}
	}
}

// Every request body of the document has an example that its schema allows.
func TestDocument_RequestExamples(t *testing.T) {
	doc, err := openapitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			content := operation.RequestBody.Value.Content.Get("application/json")
			if content == nil || content.Example == nil {
				t.Errorf("%s %s: no example", method, path)
			} else if err := content.Schema.Value.VisitJSON(content.Example); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
}
