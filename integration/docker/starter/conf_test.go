package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenderConf(t *testing.T) {
	for _, tc := range []struct {
		name    string
		environ []string
		want    map[string]string
		wantErr string
	}{
		{
			name: "xml, sorted and escaped, whatever the case of the file's name",
			environ: []string{"CORE-SITE.XML_fs.defaultFS=hdfs://namenode:8020", "core-site.xml_a<b=x & y", "YARN-SITE.XML_yarn.a_b=1=2",
				"CORE-SITE.xml_empty="},
			want: map[string]string{
				"core-site.xml": `<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <property><name>a&lt;b</name><value>x &amp; y</value></property>
  <property><name>empty</name><value></value></property>
  <property><name>fs.defaultFS</name><value>hdfs://namenode:8020</value></property>
</configuration>
`,
				"yarn-site.xml": `<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <property><name>yarn.a_b</name><value>1=2</value></property>
</configuration>
`,
			},
		},
		{
			name: "other formats",
			environ: []string{"LOG4J.PROPERTIES_log4j.rootLogger=INFO, console", "X.CFG_k=v", "X.ENV_K=v", "HADOOP-ENV.SH_OPTS=it's -Dx",
				"WORKERS.PROPERTIES!CFG_k=v"},
			want: map[string]string{
				"log4j.properties": "log4j.rootLogger=INFO, console\n", "x.cfg": "k=v\n", "x.env": "K=v\n",
				"hadoop-env.sh": "export OPTS='it'\\''s -Dx'\n", "workers.properties": "k=v\n",
			},
		},
		{
			name:    "what is no setting",
			environ: []string{"HADOOP_CONF_DIR=/x", "PATH=/bin", "A.B_c=1", "X.XML=1", "X.XML_=1", ".XML_a=1", "_=x"},
			want:    map[string]string{},
		},
		{name: "a format of the other image", environ: []string{"X.YAML_a=1"}, wantErr: "format yaml"},
		{name: "an override by an unknown format", environ: []string{"X.XML!JSON_a=1"}, wantErr: "format json"},
		{name: "one file, two formats", environ: []string{"X.XML_a=1", "X.XML!CFG_b=1"}, wantErr: "as xml"},
		{name: "twice", environ: []string{"X.XML_a=1", "x.xml_a=2"}, wantErr: "twice"},
		{name: "a line break where lines count", environ: []string{"X.PROPERTIES_a=1\nb=2"}, wantErr: "line break"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files, err := renderConf(tc.environ)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got %v, want an error with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name, data := range files {
				got[name] = string(data)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// A file that the environment names replaces the one that the image has.
func TestWriteConf(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "core-site.xml")
	if err := os.WriteFile(name, []byte("what the image brings, and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeConf(dir, map[string][]byte{"core-site.xml": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v, want new", got, err)
	}
}
