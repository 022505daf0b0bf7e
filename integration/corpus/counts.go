package corpus

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/yarn/dfs"
)

// maxWord bounds a word and a line of a result.
const maxWord = 8 << 20

// Counts is how often each word occurs.
type Counts map[string]int64

// Word is a word with its count.
type Word struct {
	Text  string
	Count int64
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// scanWords is a bufio.SplitFunc for what stands between the six ASCII white-space bytes. (bufio.ScanWords takes those of Unicode.)
func scanWords(data []byte, atEOF bool) (int, []byte, error) {
	start := 0
	for start < len(data) && isSpace(data[start]) {
		start++
	}
	for i := start; i < len(data); i++ {
		if isSpace(data[i]) {
			return i + 1, data[start:i], nil
		}
	}
	if atEOF && start < len(data) {
		return len(data), data[start:], nil
	}
	return start, nil, nil
}

// Add counts the words of a text.
func (c Counts) Add(text io.Reader) error {
	s := bufio.NewScanner(text)
	s.Buffer(make([]byte, 0, 1<<20), maxWord)
	s.Split(scanWords)
	// Pointers, so that a word seen before costs no string.
	seen := make(map[string]*int64, len(c))
	for s.Scan() {
		n, ok := seen[string(s.Bytes())]
		if !ok {
			n = new(int64)
			seen[string(s.Bytes())] = n
		}
		*n++
	}
	for word, n := range seen {
		c[word] += *n
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("count words: %w", err)
	}
	return nil
}

// Merge adds the counts of another text.
func (c Counts) Merge(other Counts) {
	for word, n := range other {
		c[word] += n
	}
}

// Total is the number of words.
func (c Counts) Total() (n int64) {
	for _, k := range c {
		n += k
	}
	return n
}

// Top returns the n commonest words, the first in the order of bytes where counts are equal.
func (c Counts) Top(n int) []Word {
	all := make([]Word, 0, len(c))
	for text, k := range c {
		all = append(all, Word{text, k})
	}
	slices.SortFunc(all, func(a, b Word) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Text, b.Text)) })
	return all[:min(n, len(all))]
}

// Diff is nil when the counts equal want; otherwise it names some of the differences.
func (c Counts) Diff(want Counts) error {
	if maps.Equal(c, want) {
		return nil
	}
	const shown = 5
	text := fmt.Sprintf("%d words, %d distinct; want %d words, %d distinct", c.Total(), len(c), want.Total(), len(want))
	differ := 0
	both := maps.Clone(c)
	for word := range want {
		both[word] = 0
	}
	for word := range both {
		if c[word] == want[word] {
			continue
		}
		if differ++; differ <= shown {
			text += fmt.Sprintf("\n%.60q: got %d, want %d", word, c[word], want[word])
		}
	}
	return fmt.Errorf("%s\n%d words differ", text, differ)
}

// parse reads lines of word<TAB>count. A word may contain anything but white space.
func (c Counts) parse(text io.Reader) error {
	s := bufio.NewScanner(text)
	s.Buffer(make([]byte, 0, 1<<20), maxWord)
	// Lines end with "\n" alone; bufio.ScanLines would drop a "\r".
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return 0, nil, errors.New("the last line has no end")
		}
		return 0, nil, nil
	})
	for s.Scan() {
		word, count, _ := bytes.Cut(s.Bytes(), []byte{'\t'})
		n, err := strconv.ParseInt(string(count), 10, 64)
		if err != nil || n < 1 || len(word) == 0 {
			return fmt.Errorf("line %.60q is no word<TAB>count", s.Text())
		}
		if _, twice := c[string(word)]; twice {
			return fmt.Errorf("the word %.60q is there twice", word)
		}
		c[string(word)] = n
	}
	return s.Err()
}

// ReadResult reads what WordCount wrote into a directory: _SUCCESS and parts, nothing else.
func ReadResult(ctx context.Context, fsys dfs.FS, dir string) (Counts, error) {
	files, err := fsys.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	counts, success := Counts{}, false
	for _, f := range files {
		name := path.Base(f.Path)
		if name == "_SUCCESS" {
			success = true
			continue
		}
		if !strings.HasPrefix(name, "part-") {
			return nil, fmt.Errorf("unexpected %s in the result", f.Path)
		}
		r, err := fsys.Open(ctx, f.Path, 0)
		if err != nil {
			return nil, err
		}
		err = errors.Join(counts.parse(r), r.Close())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Path, err)
		}
	}
	if !success {
		return nil, fmt.Errorf("there is no _SUCCESS in %s", dir)
	}
	return counts, nil
}
