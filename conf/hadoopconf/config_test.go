package hadoopconf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGetters(t *testing.T) {
	c := New(map[string]string{
		"s": "  text ", "empty": " ", "i": "42", "neg": "-1", "hex": "0xFF", "neghex": "-0x10", "f": "2.1", "b": "TRUE", "b2": "false",
		"list": " a, ,b ,c", "d": "500", "ds": "10s", "dms": "250 MS", "dm": "2m", "dh": "1H", "dd": "1d", "dns": "7ns", "forever": "-1",
		"size": "128m", "size2": "4096", "size3": "1 G", "bad": "x y", "long": "300000000d", "big": "9e",
	})
	if c.Get("s", "") != "text" || c.Get("empty", "def") != "def" || c.Get("missing", "def") != "def" {
		t.Errorf("Get: %q %q %q", c.Get("s", ""), c.Get("empty", "def"), c.Get("missing", "def"))
	}
	for key, want := range map[string]int{"i": 42, "neg": -1, "hex": 255, "neghex": -16, "missing": 7} {
		if got, err := c.Int(key, 7); err != nil || got != want {
			t.Errorf("Int(%s) = %d, %v, want %d", key, got, err, want)
		}
	}
	for key, want := range map[string]bool{"b": true, "b2": false, "missing": true} {
		if got, err := c.Bool(key, true); err != nil || got != want {
			t.Errorf("Bool(%s) = %v, %v", key, got, err)
		}
	}
	if got, err := c.Float("f", 0); err != nil || got != 2.1 {
		t.Errorf("Float = %v, %v", got, err)
	}
	for key, want := range map[string]time.Duration{
		"d": 500 * time.Millisecond, "ds": 10 * time.Second, "dms": 250 * time.Millisecond, "dm": 2 * time.Minute, "dh": time.Hour,
		"dd": 24 * time.Hour, "dns": 7, "forever": -time.Millisecond, "missing": time.Minute,
	} {
		if got, err := c.Duration(key, time.Minute, time.Millisecond); err != nil || got != want {
			t.Errorf("Duration(%s) = %v, %v, want %v", key, got, err, want)
		}
	}
	for key, want := range map[string]int64{"size": 128 << 20, "size2": 4096, "size3": 1 << 30, "missing": 5} {
		if got, err := c.Size(key, 5); err != nil || got != want {
			t.Errorf("Size(%s) = %d, %v, want %d", key, got, err, want)
		}
	}
	if got := c.List("list"); !slices.Equal(got, []string{"a", "b", "c"}) || c.List("missing") != nil {
		t.Errorf("List = %q", got)
	}
	_, e1 := c.Int("bad", 0)
	_, e2 := c.Bool("bad", false)
	_, e3 := c.Float("bad", 0)
	_, e4 := c.Duration("bad", 0, time.Second)
	_, e5 := c.Size("bad", 0)
	_, e6 := c.Duration("long", 0, time.Second)
	_, e7 := c.Size("big", 0)
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7} {
		if err == nil || strings.Contains(err.Error(), "x y") || !strings.HasPrefix(err.Error(), "program: ") {
			t.Errorf("error %d = %v: it must name key and source, not the value", i+1, err)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	c := New(map[string]string{"b": "2", "a": "<1>", "dfs.password": "hunter2"})
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := c.Encode(); !bytes.Equal(data, again) {
		t.Error("two encodings differ")
	}
	back, err := Decode(data)
	if err != nil || !slices.Equal(back.Keys(), []string{"a", "b", "dfs.password"}) || back.Get("a", "") != "<1>" {
		t.Errorf("decoded %v, %v", back.Keys(), err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", c, c, c, back); strings.Contains(s, "hunter2") {
		t.Errorf("a value is shown: %s", s)
	}
	if data, err := (*Config)(nil).Encode(); err != nil || string(data) != "{}" {
		t.Errorf("nil: %s, %v", data, err)
	}
	for _, bad := range []string{"", "[]", "{", strings.Repeat(" ", maxEncoded+1)} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("Decode(%.20q): want an error", bad)
		}
	}
	if _, err := New(map[string]string{"a": strings.Repeat("x", maxEncoded)}).Encode(); err == nil {
		t.Error("encoding something too large: want an error")
	}
}

func TestRequireYARN(t *testing.T) {
	for name, c := range map[string]*Config{"nil": nil, "empty": New(nil), "only hdfs": New(map[string]string{"fs.defaultFS": "hdfs://x"})} {
		if err := c.RequireYARN(); !errors.Is(err, ErrNotConfigured) || !strings.Contains(err.Error(), "HADOOP_CONF_DIR") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, key := range []string{rmHostname, rmAddress, rmHAIDs} {
		if err := New(map[string]string{key: "x"}).RequireYARN(); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	dir := dirWith(t, map[string]string{"core-site.xml": site("fs.defaultFS", "hdfs://x")})
	c, _, err := Load(Source{Getenv: env("HADOOP_CONF_DIR", dir)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.RequireYARN(); !errors.Is(err, ErrNotConfigured) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory without yarn-site.xml: %v", err)
	}
}

func TestResourceManagers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values map[string]string
		want   []RM
	}{
		{"defaults", nil, []RM{{Client: "0.0.0.0:8032", Scheduler: "0.0.0.0:8030", Admin: "0.0.0.0:8033", Webapp: "0.0.0.0:8088"}}},
		{"host name", map[string]string{rmHostname: "rm"}, []RM{{Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Webapp: "rm:8088"}}},
		{
			"addresses", map[string]string{rmHostname: "rm", rmAddress: "other:1", rmScheduler: "third", rmWebapp: "[::1]:2"},
			[]RM{{Client: "other:1", Scheduler: "third:8030", Admin: "rm:8033", Webapp: "[::1]:2"}},
		},
		{
			"https", map[string]string{rmHostname: "rm", "yarn.http.policy": "HTTPS_ONLY"},
			[]RM{{Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Webapp: "rm:8090", WebappHTTPS: true}},
		},
		{
			"high availability", map[string]string{
				rmHA: "true", rmHAIDs: "rm1, rm2", rmHostname + ".rm1": "h1", rmHostname + ".rm2": "h2",
				rmAddress + ".rm2": "h2:18032", rmAddress: "not-this:1", rmHostname: "nor-this",
			},
			[]RM{
				{ID: "rm1", Client: "h1:8032", Scheduler: "h1:8030", Admin: "h1:8033", Webapp: "h1:8088"},
				{ID: "rm2", Client: "h2:18032", Scheduler: "h2:8030", Admin: "h2:8033", Webapp: "h2:8088"},
			},
		},
		{
			"ids without high availability", map[string]string{rmHAIDs: "rm1,rm2", rmHostname: "rm"},
			[]RM{{Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Webapp: "rm:8088"}},
		},
	} {
		got, err := New(tt.values).ResourceManagers()
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		values map[string]string
		want   string
	}{
		{map[string]string{rmHA: "true"}, "names no ResourceManager"},
		{map[string]string{rmHA: "maybe"}, "neither true nor false"},
		{map[string]string{rmHA: "true", rmHAIDs: "rm1"}, "neither yarn.resourcemanager.address.rm1 nor yarn.resourcemanager.hostname.rm1 is set"},
		{map[string]string{rmAddress: "rm:"}, "is no host:port"},
		{map[string]string{rmAddress: "http://rm:1"}, "is no host:port"},
	} {
		if got, err := New(tt.values).ResourceManagers(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %+v, %v, want %q", tt.values, got, err, tt.want)
		}
	}
}

func TestMemoryChecks(t *testing.T) {
	if got, err := New(nil).MemoryChecks(); err != nil || got != (MemoryChecks{true, true, 2.1}) {
		t.Errorf("defaults: %+v, %v", got, err)
	}
	c := New(map[string]string{"yarn.nodemanager.vmem-check-enabled": "false", "yarn.nodemanager.vmem-pmem-ratio": "4"})
	if got, err := c.MemoryChecks(); err != nil || got != (MemoryChecks{true, false, 4}) {
		t.Errorf("set: %+v, %v", got, err)
	}
	if _, err := New(map[string]string{"yarn.nodemanager.vmem-pmem-ratio": "much"}).MemoryChecks(); err == nil {
		t.Error("a wrong ratio: want an error")
	}
}

func TestDefaultFS(t *testing.T) {
	for in, want := range map[string]string{
		"": "file:///", "hdfs://nn:8020": "hdfs://nn:8020", "hdfs://ns1/": "hdfs://ns1/", "nn:9000": "hdfs://nn:9000", "local": "file:///",
		"nn": "hdfs://nn", "file:/tmp": "file:/tmp", "viewfs://cluster": "viewfs://cluster",
	} {
		got, err := New(map[string]string{"fs.defaultFS": in}).DefaultFS()
		if err != nil || got.String() != want {
			t.Errorf("DefaultFS of %q = %v, %v, want %s", in, got, err, want)
		}
	}
	if got, err := New(map[string]string{"fs.default.name": "hdfs://old"}).DefaultFS(); err != nil || got.String() != "hdfs://old" {
		t.Errorf("older name: %v, %v", got, err)
	}
	for _, in := range []string{"hdfs:///", "hdfs://a b", "hdfs://nn:port"} {
		if got, err := New(map[string]string{"fs.defaultFS": in}).DefaultFS(); err == nil {
			t.Errorf("DefaultFS of %q = %v, want an error", in, got)
		}
	}
}

func TestNameNodes(t *testing.T) {
	c := New(map[string]string{
		"dfs.ha.namenodes.ns1": "nn1,nn2", "dfs.namenode.rpc-address.ns1.nn1": "h1:9000", "dfs.namenode.rpc-address.ns1.nn2": "h2",
		"dfs.ha.namenodes.broken": "nn1", "dfs.namenode.rpc-address.ns2": "h3:8021",
	})
	for authority, want := range map[string][]NameNode{
		"ns1": {{"nn1", "h1:9000"}, {"nn2", "h2:8020"}}, "host": {{"", "host:8020"}}, "host:1": {{"", "host:1"}}, "ns2": {{"", "h3:8021"}},
	} {
		if got, err := c.NameNodes(authority); err != nil || !slices.Equal(got, want) {
			t.Errorf("NameNodes(%s) = %v, %v, want %v", authority, got, err, want)
		}
	}
	for _, authority := range []string{"", "broken", "a:b:"} {
		if got, err := c.NameNodes(authority); err == nil {
			t.Errorf("NameNodes(%q) = %v, want an error", authority, got)
		}
	}
}
