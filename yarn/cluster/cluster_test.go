package cluster

import (
	"errors"
	"testing"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/yarn/ugi"
	"github.com/flott-dev/flott/yarn/yarnid"
)

func open(t *testing.T, values map[string]string) *Cluster {
	t.Helper()
	c, err := Open(hadoopconf.New(values), ugi.New("alice", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestStagingIsTheHomeDirectoryUnlessSaid(t *testing.T) {
	c := open(t, map[string]string{"fs.defaultFS": "hdfs://nn:8020"})
	for dir, want := range map[string]string{
		"":                  "hdfs://nn:8020/user/alice",
		"/tmp/stage":        "hdfs://nn:8020/tmp/stage",
		"hdfs://other:1/st": "hdfs://other:1/st",
		"file:///var/stage": "file:///var/stage",
	} {
		a, err := c.Staging(t.Context(), dir)
		if err != nil {
			t.Errorf("%q: %v", dir, err)
			continue
		}
		if got := a.URI("/x"); got[:8] != want[:8] {
			t.Errorf("%q: files lie at %s, want below %s", dir, got, want)
		}
	}
}

func TestStagingOnTheLocalDisk(t *testing.T) {
	c := open(t, map[string]string{"fs.defaultFS": "file:///"})
	a, err := c.Staging(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Create(t.Context(), yarnid.ApplicationID{ClusterTimestamp: 1, ID: 1}, "rm:8032"); err != nil {
		t.Error(err)
	}
}

func TestWithoutConfigurationThereIsNoYARN(t *testing.T) {
	c := open(t, nil)
	if _, err := c.ResourceManager(); !errors.Is(err, hadoopconf.ErrNotConfigured) {
		t.Errorf("ResourceManager: got %v, want ErrNotConfigured", err)
	}
	fsys, path, err := c.Files.For(t.Context(), "/etc")
	if err != nil || path != "/etc" || fsys.URI(path) != "file:///etc" {
		t.Errorf("bare path: got %v, %q, %v, want the local file system", fsys, path, err)
	}
}

func TestTheFirstAddressNamesTheCluster(t *testing.T) {
	c := open(t, map[string]string{"fs.defaultFS": "file:///", "yarn.resourcemanager.hostname": "rm"})
	got, err := c.ResourceManagerName()
	if err != nil || got != "rm:8032" {
		t.Errorf("got %q, %v, want rm:8032", got, err)
	}
	if _, err := c.ResourceManager(); err != nil {
		t.Errorf("ResourceManager: %v", err)
	}
}
