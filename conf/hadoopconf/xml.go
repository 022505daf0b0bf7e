package hadoopconf

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

type xmlProperty struct {
	name, value string
	final       bool
}

// maxNesting bounds how deep elements lie in each other; Hadoop needs three levels.
const maxNesting = 16

// parseXML reads one site file. Every error names the file and line and fits on one line.
func parseXML(r io.Reader, path string) ([]xmlProperty, error) {
	limited := &io.LimitedReader{R: r, N: maxFile + 1}
	dec := xml.NewDecoder(limited)
	dec.CharsetReader = charsetReader
	p := xmlParser{dec: dec}
	for {
		token, err := dec.Token()
		if limited.N == 0 {
			return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.token(token)
		}
		if err != nil {
			line, _ := dec.InputPos()
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				return nil, fmt.Errorf("%s:%d: not well-formed XML: %s", path, syntax.Line, syntax.Msg)
			}
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
	if !p.rooted {
		return nil, fmt.Errorf("%s: no <configuration> in it", path)
	}
	return p.out, nil
}

// xmlParser follows the path of elements from the root.
type xmlParser struct {
	dec    *xml.Decoder
	path   []string
	rooted bool
	open   *xmlProperty // the property that is being read
	text   strings.Builder
	out    []xmlProperty
}

func (p *xmlParser) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return errors.New("a DOCTYPE is refused, for it can pull in other files; remove it")
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		return p.end(t.Name.Local)
	case xml.CharData:
		if p.open != nil {
			p.text.Write(t)
		}
	}
	return nil
}

func (p *xmlParser) start(t xml.StartElement) error {
	name := t.Name.Local
	switch {
	case name == "include" || name == "fallback" || strings.HasSuffix(t.Name.Space, "/XInclude"):
		return errors.New("xi:include is refused; put the properties of the included file in its place")
	case len(p.path) == 0 && (p.rooted || name != "configuration"):
		return fmt.Errorf("the root element must be <configuration>, not <%s>", name)
	case len(p.path) >= maxNesting:
		return fmt.Errorf("elements lie deeper than %d in each other", maxNesting)
	}
	p.rooted = true
	p.path = append(p.path, name)
	p.text.Reset()
	if name != "property" {
		return nil
	}
	if p.open != nil {
		return errors.New("a <property> inside a <property>")
	}
	p.open = &xmlProperty{}
	for _, a := range t.Attr { // the short form: <property name="" value="" final=""/>
		p.set(a.Name.Local, a.Value)
	}
	return nil
}

func (p *xmlParser) end(name string) error {
	p.path = p.path[:len(p.path)-1]
	if p.open == nil {
		return nil
	}
	if name != "property" {
		if len(p.path) > 0 && p.path[len(p.path)-1] == "property" {
			p.set(name, p.text.String())
		}
		p.text.Reset()
		return nil
	}
	if p.open.name != "" {
		if len(p.out) >= maxProperties {
			return fmt.Errorf("more than %d properties", maxProperties)
		}
		p.out = append(p.out, *p.open)
	}
	p.open = nil
	return nil
}

func (p *xmlParser) set(field, text string) {
	text = strings.TrimSpace(text)
	switch field {
	case "name":
		p.open.name = text
	case "value":
		p.open.value = text
	case "final":
		p.open.final = strings.EqualFold(text, "true")
	}
}

// charsetReader reads the single-byte encodings that old files name.
func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "us-ascii", "ascii":
		return input, nil // a byte above 127 is then refused as invalid UTF-8
	case "iso-8859-1", "latin1":
		return &latin1Reader{in: input}, nil
	}
	return nil, fmt.Errorf("encoding %q is not supported; use UTF-8", charset)
}

// latin1Reader turns ISO-8859-1 into UTF-8.
type latin1Reader struct {
	in      io.Reader
	pending []byte
}

func (r *latin1Reader) Read(p []byte) (int, error) {
	for len(r.pending) == 0 {
		buf := make([]byte, 512)
		n, err := r.in.Read(buf)
		for _, b := range buf[:n] {
			r.pending = append(r.pending, string(rune(b))...)
		}
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}
