package conf

import (
	"maps"
	"slices"
	"testing"
)

func TestParseList(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", nil}, {"a", []string{"a"}}, {"a;b ; c", []string{"a", "b", "c"}}, {"a;;b;", []string{"a", "b"}},
		{"'a;b';c", []string{"a;b", "c"}}, {`"x""y";z`, []string{`x"y`, "z"}}, {"'it''s'", []string{"it's"}}, {"'';a", []string{"", "a"}},
		{"[a, b]", []string{"a", "b"}}, {"['a, b', c]", []string{"a, b", "c"}}, {"[010, 1_000, 2024-01-01]", []string{"010", "1_000", "2024-01-01"}},
		{"[]", []string{}}, {"[not yaml", []string{"[not yaml"}},
	} {
		got, err := parseList(tt.in, ";")
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("parseList(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	if got, err := parseList("/a,/b:/c|/d", ",:|"); err != nil || !slices.Equal(got, []string{"/a", "/b", "/c", "/d"}) {
		t.Errorf("list of directories = %q, %v", got, err)
	}
	for _, in := range []string{"'a", "'a' b;c", `"`} {
		if got, err := parseList(in, ";"); err == nil {
			t.Errorf("parseList(%q) = %q, want an error", in, got)
		}
	}
}

func TestParseMap(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want map[string]string
	}{
		{"", map[string]string{}}, {"a:1", map[string]string{"a": "1"}}, {"a:1, b : 2", map[string]string{"a": "1", "b": "2"}},
		{"'a:b':'c,d',e:f", map[string]string{"a:b": "c,d", "e": "f"}}, {"url:http://h:1", map[string]string{"url": "http://h:1"}},
		{"'k:v,w',b:2", map[string]string{"k": "v,w", "b": "2"}}, {"{a: 1, b: x y}", map[string]string{"a": "1", "b": "x y"}},
		{"a:", map[string]string{"a": ""}},
	} {
		got, err := parseMap(tt.in)
		if err != nil || !maps.Equal(got, tt.want) {
			t.Errorf("parseMap(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"a", "a,b:1", ",", "'a:1", "a:'x"} {
		if got, err := parseMap(in); err == nil {
			t.Errorf("parseMap(%q) = %q, want an error", in, got)
		}
	}
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"a;b", "'a;b';c", "[a, 'b']", `"x""y"`, "[&a [*a]]", "';"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parseList(s, ";")
		if err != nil {
			return
		}
		back, err := parseList(formatList(l, ';'), ";")
		if err != nil || !slices.Equal(back, l) {
			t.Fatalf("%q → %q → %q → %q, %v", s, l, formatList(l, ';'), back, err)
		}
	})
}

func FuzzParseMap(f *testing.F) {
	for _, s := range []string{"a:1,b:2", "'a:b':'c,d'", "{a: 1}", "'k:v'", "a:'x''y'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMap(s)
		if err != nil {
			return
		}
		back, err := parseMap(formatMap(m))
		if err != nil || !maps.Equal(back, m) {
			t.Fatalf("%q → %q → %q → %q, %v", s, m, formatMap(m), back, err)
		}
	})
}
