package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// confFile is a configuration file as the environment describes it.
type confFile struct {
	format string
	values map[string]string
}

// formats are the known extensions; nil ones are apache/hadoop's, but not this image's.
var formats = map[string]func(map[string]string) ([]byte, error){
	"xml":        renderXML,
	"properties": lines("%s=%s\n"),
	"cfg":        lines("%s=%s\n"),
	"env":        lines("%s=%s\n"),
	"sh":         renderShell,
	"yaml":       nil,
	"conf":       nil,
}

// settingName is <file>.<extension>[!<format>]_<property>.
var settingName = regexp.MustCompile(`^([A-Za-z0-9-]+)\.([A-Za-z]+)(?:!([A-Za-z]+))?_(.+)$`)

// renderConf returns the content of each file that the environment names.
func renderConf(environ []string) (map[string][]byte, error) {
	files := map[string]*confFile{}
	for _, e := range environ {
		variable, value, _ := strings.Cut(e, "=")
		m := settingName.FindStringSubmatch(variable)
		if m == nil {
			continue
		}
		extension, format, key := strings.ToLower(m[2]), strings.ToLower(m[3]), m[4]
		if _, known := formats[extension]; !known {
			continue
		}
		if format == "" {
			format = extension
		}
		if formats[format] == nil {
			return nil, fmt.Errorf("%s: this image does not write the format %s", variable, format)
		}
		name := strings.ToLower(m[1]) + "." + extension
		f := files[name]
		if f == nil {
			f = &confFile{format: format, values: map[string]string{}}
			files[name] = f
		}
		if f.format != format {
			return nil, fmt.Errorf("%s: another variable writes %s as %s", variable, name, f.format)
		}
		if _, twice := f.values[key]; twice {
			return nil, fmt.Errorf("%s: %s of %s is there twice", variable, key, name)
		}
		f.values[key] = value
	}
	rendered := map[string][]byte{}
	for name, f := range files {
		data, err := formats[f.format](f.values)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		rendered[name] = data
	}
	return rendered, nil
}

func renderXML(values map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<configuration>\n")
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b.WriteString("  <property><name>")
		if err := xml.EscapeText(&b, []byte(key)); err != nil {
			return nil, err
		}
		b.WriteString("</name><value>")
		if err := xml.EscapeText(&b, []byte(values[key])); err != nil {
			return nil, err
		}
		b.WriteString("</value></property>\n")
	}
	b.WriteString("</configuration>\n")
	return b.Bytes(), nil
}

// lines renders one line for each property; a value that has several would become other properties.
func lines(format string) func(map[string]string) ([]byte, error) {
	return func(values map[string]string) ([]byte, error) {
		var out []byte
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if strings.ContainsAny(values[key], "\r\n") {
				return nil, fmt.Errorf("the value of %s has a line break", key)
			}
			out = fmt.Appendf(out, format, key, values[key])
		}
		return out, nil
	}
}

func renderShell(values map[string]string) ([]byte, error) {
	var out []byte
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = fmt.Appendf(out, "export %s='%s'\n", key, strings.ReplaceAll(values[key], "'", `'\''`))
	}
	return out, nil
}

func writeConf(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
	}
	return nil
}
