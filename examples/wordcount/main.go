// Command wordcount counts the words in text files.
//
//	wordcount --input <file, directory or glob> [--input …] --output <directory>
//
// A word is what stands between the six ASCII white-space bytes; its bytes are kept as they are. The output directory, which must not
// exist, gets files with a line <word><TAB><count> for each word.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/flow"
)

const usage = "usage: wordcount --input <file, directory or glob> [--input …] --output <directory>"

func main() { flow.Main(build) }

// build declares the job.
func build(env *flow.Env, args []string) error {
	o, err := parse(args)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	env.JobName("wordcount")
	words := flow.FlatMap(flow.TextFiles(env, o.inputs...), flow.Fields)
	counts := flow.Count(flow.KeyBy(words, func(word string) string { return word }))
	flow.WriteTextFiles(counts, o.output, format)
	return nil
}

func format(line []byte, c flow.KV[string, int64]) []byte {
	line = append(append(line, c.Key...), '\t')
	return strconv.AppendInt(line, c.Value, 10)
}

type options struct {
	inputs []string
	output string
}

// parse reads the job's arguments.
func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("wordcount", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Func("input", "what to read", func(v string) error {
		if v == "" {
			return errors.New("it is empty")
		}
		o.inputs = append(o.inputs, v)
		return nil
	})
	f.StringVar(&o.output, "output", "", "where to write")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, errors.New("wordcount counts the words in text files")
	case err != nil:
		return o, fmt.Errorf("wordcount: %w", err)
	case f.NArg() > 0:
		return o, fmt.Errorf("wordcount: unexpected argument %s", strings.Join(f.Args(), " "))
	case len(o.inputs) == 0:
		return o, errors.New("wordcount: --input is missing")
	case o.output == "":
		return o, errors.New("wordcount: --output is missing")
	}
	return o, nil
}
