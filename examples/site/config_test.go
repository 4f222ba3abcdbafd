package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig("/etc/site/site.json", []byte(`{
		"files": "www", "certificate": "/a/cert.pem", "key": "../key.pem",
		"notice": "notice", "notice_every": "1m", "access_log": "/log", "headers": {"X-One": "1"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.files != "/etc/site/www" || c.certificate != "/a/cert.pem" || c.key != "/etc/key.pem" || c.notice != "/etc/site/notice" ||
		c.noticeEvery != time.Minute || c.accessLog != "/log" || c.headers["X-One"] != "1" {
		t.Errorf("it is %+v", c)
	}
}

// badConfigs are texts that are refused, with what is said of them.
var badConfigs = []struct{ name, text, want string }{
	{"empty", "", "site.json:1: unexpected end"},
	{"syntax", "{\n\"files\": \"www\",\n}", "site.json:3: invalid character '}'"},
	{"more behind it", "{\"files\": \"www\"}\n{}", "site.json:2: invalid character '{'"},
	{"no object", "[]", "site.json:1: json: cannot unmarshal array"},
	{"null", "null", "site.json: files is missing"},
	{"unknown field", "{\n\"files\": \"www\",\n\"colour\": \"red\"}", `site.json:3: colour is "red": unknown field`},
	{"twice", "{\"files\": \"www\",\n\"files\": \"www2\"}", `site.json:2: files is "www2": it was set in line 1`},
	{"other case", `{"Files": "www"}`, `site.json:1: Files is "www": unknown field`},
	{"no files", `{}`, "site.json: files is missing"},
	{"not a path", `{"files": 7}`, "site.json:1: files is 7: it is not a path"},
	{"no path", `{"files": ""}`, `site.json:1: files is "": it is not a path`},
	{"null path", `{"files": null}`, `site.json:1: files is null: it is not a path`},
	{"certificate alone", "{\"files\": \"www\",\n\"certificate\": \"c\"}", "site.json:2: certificate and key go together"},
	{"key alone", "{\"files\": \"www\",\n\"key\": \"c\"}", "site.json:2: certificate and key go together"},
	{"not a time", `{"notice_every": "soon"}`, `notice_every is "soon": it is not a time`},
	{"a number for a time", `{"notice_every": 5}`, `notice_every is 5: it is not a time`},
	{"too often", `{"notice_every": "0s"}`, `notice_every is "0s": it is not a time`},
	{"not headers", `{"headers": ["X-One"]}`, `headers is ["X-One"]: it is not {`},
	{"bad name", `{"headers": {"X One": "1"}}`, `"X One": "1" is no header`},
	{"two lines", `{"headers": {"X-One": "1\r\nX-Two: 2"}}`, `"X-One": "1\r\nX-Two: 2" is no header`},
	{"length", `{"headers": {"content-length": "1"}}`, `"content-length": "1" is no header`},
}

func TestBadConfigs(t *testing.T) {
	for _, tt := range badConfigs {
		t.Run(tt.name, func(t *testing.T) {
			if c, err := parseConfig("/etc/site/site.json", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it is %+v, %v; want %s", c, err, tt.want)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"files": "www", "notice_every": "1m", "headers": {"X-One": "1"}}`))
	for _, tt := range badConfigs {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig("/etc/site/site.json", text)
		if err == nil && (c.files == "" || c.noticeEvery <= 0 || (c.key == "") != (c.certificate == "")) {
			t.Errorf("it is %+v", c)
		}
		if err != nil && !strings.Contains(err.Error(), "/etc/site/site.json") {
			t.Errorf("no file is named: %v", err)
		}
	})
}
