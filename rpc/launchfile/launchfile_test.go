package launchfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	f := File{
		Application: "application_1_0001", User: "alice", Args: []string{"--input", "a b", "ü"}, Parallelism: 4,
		Plan: []byte{1, 2}, Configuration: []byte("{}"), StagingDir: "hdfs://nn/user/alice",
		Binary: Artifact{"hdfs://nn/x", 12, 34}, Submitted: time.Unix(100, 0).UTC(),
	}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	f.Version = Version
	if diff := cmp.Diff(f, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"another version": {`{"version": 7}`, "version 7, this program reads version 1"},
		"no JSON":         {`version: 1`, "read launch file"},
		"unknown field":   {`{"version": 1, "argz": []}`, "argz"},
		"empty":           {``, "read launch file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestALocalRunHasDefaults(t *testing.T) {
	var f File
	if c, err := f.Config(); err != nil || c == nil {
		t.Errorf("Config: got %v, %v", c, err)
	}
	if c, err := f.HadoopConfig(); err != nil || c == nil {
		t.Errorf("HadoopConfig: got %v, %v", c, err)
	}
	if _, err := f.JobPlan(); !errors.Is(err, ErrNoPlan) {
		t.Errorf("JobPlan: got %v, want ErrNoPlan", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"args":["a"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		if _, err := file.Encode(); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
