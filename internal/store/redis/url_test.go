package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"qrgate/internal/secret"
	"qrgate/internal/store/redis"
)

func TestURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379":                                              "",
		"redis://127.0.0.1":                                                   "",
		"redis://gate:canary@127.0.0.1:6379/3":                                "",
		"rediss://gate:canary@redis.example:6379/0":                           "",
		"unix:///run/redis.sock?db=3":                                         "",
		"unix://gate:canary@/run/redis.sock":                                  "",
		"redis+sentinel://h1,h2:26380/main/3":                                 "",
		"rediss+sentinel://gate:canary@h1:1,h2/main?sentinel_password=canary": "",
		"redis+cluster://gate:canary@h1:7000,[::1]:7001,h3":                   "",
		"rediss+cluster://h1/":                                                "",
		"redis+sentinel://h1,h2":                                              "looks like redis+sentinel://",
		"redis+sentinel://gate:canary@h1/main/canary":                         "looks like redis+sentinel://",
		"redis+sentinel://h1/main/0?canary=1":                                 "looks like redis+sentinel://",
		"redis+cluster://h1,h2/3":                                             "looks like redis+cluster://",
		"redis+cluster://gate:canary@":                                        "cannot be parsed",
		"redis+canary://h1":                                                   "must begin with redis://",
		"":                                                                    "is empty",
		"redis://gate:canary%zz@127.0.0.1:6379":                               "cannot be parsed",
		"redis://:p@ss#canary@127.0.0.1:6379/0":                               "cannot be parsed",
		"redis://gate:canary@127.0.0.1:port":                                  "cannot be parsed",
		"redis://gate:can ary@127.0.0.1:6379":                                 "cannot be parsed",
		"canary@127.0.0.1:6379":                                               "cannot be parsed",
		"127.0.0.1:6379":                                                      "cannot be parsed",
		"http://gate:canary@127.0.0.1:6379":                                   "must begin with redis://",
		"localhost:6379":                                                      "must begin with redis://",
		"redis.example/canary":                                                "must begin with redis://",
		"redis://gate:canary@127.0.0.1:6379/canary":                           "a database or an option",
		"redis://gate:canary@127.0.0.1:6379/0/1":                              "a database or an option",
		"redis://gate:canary@127.0.0.1:6379/0?canary=1":                       "a database or an option",
		"redis://gate:canary@127.0.0.1:6379/0?read_timeout=canary1":           "a database or an option",
	} {
		_, err := redis.New(redis.Config{URL: secret.NewSecret(url)})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		if err == nil || !strings.Contains(text, want) || strings.Contains(text, "canary") {
			t.Errorf("%s: %s; want a sentence that says %q and nothing of the password", url, text, want)
		}
	}
}
