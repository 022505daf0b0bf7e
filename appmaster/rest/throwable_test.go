package rest

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// TestThrowableClass holds the head of the stream against what Flink wrote.
func TestThrowableClass(t *testing.T) {
	_, _, r := readRecording(t, "failed-execution-result")
	cause := r.Body.(map[string]any)["job-execution-result"].(map[string]any)["failure-cause"].(map[string]any)
	recorded, err := base64.StdEncoding.DecodeString(cause["serialized-throwable"].(string))
	if err != nil {
		t.Fatal(err)
	}
	got := serializedThrowable("class", "message", "stack")
	if n := len(throwableClass); !bytes.Equal(got[:n], recorded[:n]) {
		t.Errorf("head\n%q, recorded\n%q", got[:n], recorded[:n])
	}
}

// TestThrowableText fixes the bytes after the head; a Java 17 with a class of that name and those fields read them, text and all.
func TestThrowableText(t *testing.T) {
	const want = "p" + "t\x00\x07message" + "ppx" + "t\x00\x05stack" + "t\x00\x05class" + "p"
	if got := serializedThrowable("class", "message", "stack"); string(got[len(throwableClass):]) != want {
		t.Errorf("fields %q, want %q", got[len(throwableClass):], want)
	}
	for s, want := range map[string]string{
		"":                           "t\x00\x00",
		"a\x00b":                     "t\x00\x04a\xc0\x80b",
		"é€":                         "t\x00\x05\xc3\xa9\xe2\x82\xac",
		"😀":                          "t\x00\x06\xed\xa0\xbd\xed\xb8\x80",
		"\xff":                       "t\x00\x03\xef\xbf\xbd",
		strings.Repeat("x", 1<<16-1): "t\xff\xff" + strings.Repeat("x", 1<<16-1),
		strings.Repeat("x", 1<<16):   "|\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("x", 1<<16),
	} {
		if got := string(appendJavaString(nil, s)); got != want {
			t.Errorf("%.20q: %.40q, want %.40q", s, got, want)
		}
	}
}
