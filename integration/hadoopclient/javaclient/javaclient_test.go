package javaclient

import (
	"slices"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	j := &Java{home: "/jdk", classPath: "/conf:/classes:/jars/*"}
	for class, command := range map[string]func(...string) (string, []string){
		"org.apache.hadoop.fs.FsShell": j.FsShell,
		"HadoopClient":                 j.Client,
	} {
		path, args := command("-put", "a", "b")
		if path != "/jdk/bin/java" {
			t.Errorf("got %s, want the cluster's Java", path)
		}
		if i := slices.Index(args, class); i < 2 || args[i-1] != j.classPath || strings.Join(args[i+1:], " ") != "-put a b" {
			t.Errorf("got %q, want the class path, %s and its arguments at the end", args, class)
		}
	}
}

// The Java program and the Go program print and take the same.
func TestSourceIsThere(t *testing.T) {
	for _, word := range []string{"public final class HadoopClient", `case "copy"`, `case "ipc"`, `\"seconds\"`, `\"cpu\"`} {
		if !strings.Contains(string(source), word) {
			t.Errorf("HadoopClient.java: got no %s", word)
		}
	}
}
