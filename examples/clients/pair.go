// Command pair pairs a session with a phone: go run pair.go URL API_KEY SESSION
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

var client, deadline = http.Client{Timeout: 30 * time.Second}, time.Now().Add(5 * time.Minute) // longer than the wait

type answer struct {
	Code, Message string
	Data          struct{ QRCode, GeneratedAt string }
	Diagnosis     struct{ Code string }
}

// call sends a request until there is a response to act on. Each of these requests may be repeated.
func call(method, path, body string) (int, answer) {
	for id := rand.Text(); time.Now().Before(deadline); {
		a, status, after := answer{}, 0, 2
		req, _ := http.NewRequest(method, os.Args[1]+"/api/sessions"+path, strings.NewReader(body))
		req.Header = http.Header{"X-Api-Key": {os.Args[2]}, "X-Request-Id": {id}, "Content-Type": {"application/json"}}
		res, err := client.Do(req)
		if err == nil {
			fmt.Sscan(res.Header.Get("Retry-After"), &after)
			status, err = res.StatusCode, json.NewDecoder(res.Body).Decode(&a)
			res.Body.Close()
		}
		if err == nil && (status < 202 || status == 409) {
			return status, a
		}
		log.Printf("%d %s: %s %v (request %s)", status, a.Code, a.Message, err, id) // err: no response, or a part
		if status >= 400 && status < 500 && status != 429 {
			os.Exit(1) // repeating it does not help
		}
		time.Sleep(time.Duration(after) * time.Second)
		if err == nil && status == 202 { // not yet
			return status, a
		}
	}
	panic("no phone was linked")
}

func main() {
	session := os.Args[3]
	call("POST", "", fmt.Sprintf(`{"sessionId":%q,"sessionName":%[1]q}`, session)) // 409: a lost response, or it exists
	call("POST", "/"+session+"/connect", "")
	for {
		status, found := call("GET", "/"+session+"/qr", "")
		if status == 409 { // a phone is linked
			break
		} else if status == 200 {
			fmt.Println("qr", found.Data.QRCode) // show it, until there is another
			for current := found; current.Data.GeneratedAt == found.Data.GeneratedAt; {
				_, current = call("GET", "/"+session+"/qr/status?wait=20", "")
			}
		} else if found.Diagnosis.Code == "qr_expired" { // all codes ran out unscanned
			call("POST", "/"+session+"/connect", "")
		}
	}
	fmt.Println("connected")
}
