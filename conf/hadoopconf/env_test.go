package hadoopconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flott-dev/flott/conf"
)

func TestLoadEnv(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("core-site.xml", "<configuration><property><name>fs.defaultFS</name><value>hdfs://nn:1</value></property>"+
		"<property><name>io.file.buffer.size</name><value>1</value></property></configuration>")
	write("flink-conf.yaml", "env.hadoop.conf.dir: "+dir+"\nflink.hadoop.io.file.buffer.size: 2\nparalelism.default: 3\n")
	getenv := func(name string) string { return map[string]string{"FLOTT_CONF_DIR": dir}[name] }
	c, hadoop, warnings, err := LoadEnv(getenv, conf.Setting{Key: "parallelism.default", Value: "4"})
	if err != nil {
		t.Fatal(err)
	}
	if got := conf.ParallelismDefault.Get(c); got != 4 {
		t.Errorf("parallelism %d, want 4 of the dynamic setting", got)
	}
	if got := hadoop.Get("fs.defaultFS", ""); got != "hdfs://nn:1" {
		t.Errorf("default file system %q: env.hadoop.conf.dir was not followed", got)
	}
	if got := hadoop.Get("io.file.buffer.size", ""); got != "2" {
		t.Errorf("buffer size %q, want 2 of flink.hadoop.*", got)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "did you mean parallelism.default") {
		t.Errorf("warnings %q, want one about the misspelt key", warnings)
	}
	if _, _, _, err := LoadEnv(getenv, conf.Setting{Key: "env.hadoop.conf.dir", Value: filepath.Join(dir, "absent")}); err == nil {
		t.Error("a missing Hadoop directory was no error")
	}
}
