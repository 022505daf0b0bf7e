package hadoopconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func dirWith(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// env returns an environment of name, value pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// site writes a site file of name, value pairs; a name that starts with ! is final.
func site(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<configuration>\n")
	for i := 0; i < len(pairs); i += 2 {
		name, final := strings.CutPrefix(pairs[i], "!")
		fmt.Fprintf(&b, "<property><name>%s</name><value>%s</value><final>%v</final></property>\n", name, pairs[i+1], final)
	}
	b.WriteString("</configuration>\n")
	return b.String()
}

func TestLoadMergesTheSiteFiles(t *testing.T) {
	hadoop := dirWith(t, map[string]string{
		"core-site.xml": site("a", "core", "!b", "core", "c", "core", "same", "x"),
		"hdfs-site.xml": site("a", "hdfs", "b", "hdfs", "d", "hdfs"),
	})
	yarn := dirWith(t, map[string]string{"core-site.xml": site("a", "other", "z", "1"), "yarn-site.xml": site("c", "yarn", "!e", "yarn", "!same", "x")})
	c, warnings, err := Load(Source{
		Getenv: env("HADOOP_CONF_DIR", hadoop, "YARN_CONF_DIR", yarn), Overrides: map[string]string{"e": " option ", "new": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a": "hdfs", "b": "core", "c": "yarn", "d": "hdfs", "e": "option", "new": "1", "z": ""} {
		if got := c.Get(key, ""); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	want := []string{
		filepath.Join(yarn, "core-site.xml") + " is not read, because " + filepath.Join(hadoop, "core-site.xml") + " comes first",
		filepath.Join(hadoop, "hdfs-site.xml") + ": b is ignored, because " + filepath.Join(hadoop, "core-site.xml") + " calls it final",
	}
	slices.Sort(warnings)
	slices.Sort(want)
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings = %q, want %q", warnings, want)
	}
}

func TestLoadDirectories(t *testing.T) {
	dir := dirWith(t, map[string]string{"yarn-site.xml": site(rmHostname, "rm")})
	for name, src := range map[string]Source{
		"both the same": {Getenv: env("HADOOP_CONF_DIR", dir, "YARN_CONF_DIR", dir+"/")},
		"yarn only":     {Getenv: env("YARN_CONF_DIR", dir)},
		"by option":     {HadoopConfDir: dir},
		"by option 2":   {Getenv: env(), YarnConfDir: dir},
		"variable wins": {Getenv: env("HADOOP_CONF_DIR", dir), HadoopConfDir: "/nonexistent"},
	} {
		c, warnings, err := Load(src)
		if err != nil || len(warnings) > 0 || c.RequireYARN() != nil {
			t.Errorf("%s: %v, %v, %v", name, c.RequireYARN(), warnings, err)
		}
	}
	if c, _, err := Load(Source{}); err != nil || len(c.Keys()) != 0 {
		t.Errorf("nothing configured: %v, %v", c, err)
	}
	for _, bad := range []string{filepath.Join(dir, "missing"), filepath.Join(dir, "yarn-site.xml")} {
		if _, _, err := Load(Source{Getenv: env("HADOOP_CONF_DIR", bad)}); err == nil || !strings.Contains(err.Error(), "HADOOP_CONF_DIR") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	unreadable := dirWith(t, nil)
	if err := os.Mkdir(filepath.Join(unreadable, "core-site.xml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(Source{Getenv: env("HADOOP_CONF_DIR", unreadable)}); err == nil {
		t.Error("a directory in place of a file: want an error")
	}
}

func TestParseXML(t *testing.T) {
	const text = `<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
<!-- a comment -->
<configuration xmlns:x="urn:x">
  <property>
    <name> a </name><!-- inside --><value>
      1 &amp; 2 <![CDATA[<3>]]>
    </value>
    <final> TRUE </final>
    <description>text <b>with</b> markup and <value>no value</value></description>
    <source>x</source>
  </property>
  <property name="b" value=" 2 " final="true"/>
  <property><name>c</name></property>
  <property><value>without a name</value></property>
  <configuration><property><name>nested</name><value>n</value></property></configuration>
</configuration>`
	got, err := parseXML(strings.NewReader(text), "f.xml")
	want := []xmlProperty{{"a", "1 & 2 <3>", true}, {"b", "2", true}, {"c", "", false}, {"nested", "n", false}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	latin := "<?xml version='1.0' encoding='ISO-8859-1'?><configuration><property><name>a</name><value>\xe4" + strings.Repeat("\xf6", 2000) + "</value></property></configuration>"
	if got, err := parseXML(strings.NewReader(latin), "f.xml"); err != nil || got[0].value != "ä"+strings.Repeat("ö", 2000) {
		t.Errorf("ISO-8859-1: %v", err)
	}
}

func TestParseXMLRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "f.xml: no <configuration> in it"},
		{"open", "<configuration>\n<property>", "f.xml:2: not well-formed XML"},
		{"wrong end", "<configuration>\n</property>", "f.xml:2: not well-formed XML"},
		{"other root", "\n<html/>", "f.xml:2: the root element must be <configuration>, not <html>"},
		{"two roots", "<configuration/><configuration/>", "the root element must be"},
		{"doctype", "<!DOCTYPE configuration SYSTEM \"file:///etc/passwd\"><configuration/>", "f.xml:1: a DOCTYPE is refused"},
		{"entities", "<!DOCTYPE c [<!ENTITY a \"b\">]><configuration/>", "a DOCTYPE is refused"},
		{"unknown entity", "<configuration><property><name>&x;</name></property></configuration>", "not well-formed"},
		{"include", `<configuration xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="x"/></configuration>`, "xi:include is refused"},
		{"include without its namespace", `<configuration><include href="x"/></configuration>`, "xi:include is refused"},
		{"property in property", "<configuration><property><property/></property></configuration>", "a <property> inside a <property>"},
		{"deep", "<configuration>" + strings.Repeat("<a>", 20), "deeper than 16"},
		{"large", "<configuration>" + strings.Repeat(" ", maxFile), "f.xml: larger than"},
		{"charset", `<?xml version="1.0" encoding="UTF-16"?><configuration/>`, "UTF-8"},
		{"invalid UTF-8", "<configuration>\xff</configuration>", "UTF-8"},
		{"many", "<configuration>" + strings.Repeat(`<property name="a"/>`, maxProperties+1) + "</configuration>", "more than 100000 properties"},
	} {
		_, err := parseXML(strings.NewReader(tt.text), "f.xml")
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q", tt.name, err, tt.want)
		}
	}
}

func TestVariables(t *testing.T) {
	dir := dirWith(t, map[string]string{"core-site.xml": site(
		"host", "h1", "a", "${host}:${port}", "port", "80${digits}", "digits", "32", "user", "/home/${user.name}", "tmp", "${hadoop.tmp.dir}/x",
		"rm", "${yarn.resourcemanager.hostname}:1", "env", "${env.SET}/${env.UNSET-d}/${env.EMPTY:-e}/${env.UNSET}", "unknown", "${nobody}",
		"open", "a ${host", "blank", "${ho st}", "empty", "${}", "nested", "${${host}}", "dollar", "$host $", "sys", "${java.io.tmpdir}${file.separator}${user.home}",
	)})
	c, _, err := Load(Source{Getenv: env("HADOOP_CONF_DIR", dir, "SET", "s", "HOME", "/h", "USER", "bob"), User: "alice", Overrides: map[string]string{"o": "${host}!"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"a": "h1:8032", "user": "/home/alice", "tmp": "/tmp/hadoop-alice/x", "rm": "0.0.0.0:1", "env": "s/d/e/${env.UNSET}", "unknown": "${nobody}",
		"open": "a ${host", "blank": "${ho st}", "empty": "${}", "nested": "${h1}", "dollar": "$host $", "sys": "/tmp//h", "o": "h1!",
	} {
		if got := c.Get(key, ""); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func TestVariablesAreBounded(t *testing.T) {
	chain := func(n int) []string { // a0 = ${a1}, … a(n) = end
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("a%d", i), fmt.Sprintf("${a%d}", i+1))
		}
		return append(pairs, fmt.Sprintf("a%d", n), "end")
	}
	doubling := []string{"d0", "x"}
	for i := 1; i <= 20; i++ {
		doubling = append(doubling, fmt.Sprintf("d%d", i), fmt.Sprintf("${d%d}${d%d}", i-1, i-1))
	}
	var wide []string
	for i := range 200 {
		wide = append(wide, fmt.Sprintf("w%d", i), "${base}")
	}
	wide = append(wide, "base", strings.Repeat("x", maxExpansionLength-100))
	for _, tt := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{"20 deep", chain(20), ""},
		{"21 deep", chain(21), "deeper than 20"},
		{"200 deep", chain(200), "deeper than 20"},
		{"itself", []string{"a", "x${a}"}, "a: variables refer to each other in a circle: a → a"},
		{"a circle", []string{"a", "${b}", "b", "${c}", "c", "${a}"}, "in a circle: a → b → c → a"},
		{"doubling", doubling, "longer than 65536 bytes"},
		{"wide", wide, "all properties together"},
	} {
		dir := dirWith(t, map[string]string{"core-site.xml": site(tt.pairs...)})
		c, _, err := Load(Source{Getenv: env("HADOOP_CONF_DIR", dir)})
		if tt.want == "" {
			if err != nil || c.Get("a0", "") != "end" {
				t.Errorf("%s: %q, %v", tt.name, c.Get("a0", ""), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzXML(f *testing.F) {
	f.Add(site("a", "b", "!c", "${a}"))
	f.Add(site("a", "${b}", "b", "${a}"))
	f.Add(site("a", "${env.X:-${b}}", "b", "${user.name}"))
	f.Add(`<configuration><property name="a" value="${a"/></configuration>`)
	f.Add(`<!DOCTYPE a><configuration/>`)
	f.Add("<?xml version='1.0' encoding='latin1'?><configuration>\xe4</configuration>")
	f.Fuzz(func(t *testing.T, text string) {
		properties, err := parseXML(strings.NewReader(text), "f")
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: the message has more than one line: %v", text, err)
			}
			return
		}
		m := newMerge()
		for _, p := range properties {
			if p.name == "" || p.name != strings.TrimSpace(p.name) {
				t.Fatalf("%q gives the name %q", text, p.name)
			}
			m.values[p.name] = property{value: p.value}
		}
		values, err := expandAll(m.values, Source{Getenv: env("X", "y"), User: "u"})
		if err != nil {
			return
		}
		c := &Config{values: values}
		data, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data)
		if err != nil || len(back.Keys()) > len(c.Keys()) {
			t.Fatalf("%q does not travel: %v", text, err)
		}
	})
}
