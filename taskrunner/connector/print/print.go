// Package print is the sink that prints each record on a line of standard output: taskmanager.out on YARN, the terminal in local mode.
//
// flow puts a Sink into the graph; its operator runs on the goroutine of its task and writes each line with one call of Write, so that
// lines of several subtasks do not mix. It keeps nothing back and has no state.
package print

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/flott-dev/flott/taskrunner/operator"
)

// Sink is the factory of the sink operator.
type Sink[T any] struct {
	// To takes the lines, from several goroutines; nil: standard output.
	To io.Writer
}

// New implements operator.Factory.
func (s Sink[T]) New(next any) (operator.Operator, error) {
	return operator.Terminal(func() (operator.Operator, error) {
		return &printer[T]{to: s.To}, nil
	}).New(next)
}

type printer[T any] struct {
	operator.SinkBase
	to     io.Writer
	prefix string
	line   []byte
}

// Open implements operator.Operator.
func (p *printer[T]) Open(ctx context.Context, c operator.Context) error {
	if p.to == nil {
		p.to = os.Stdout
	}
	if c.Parallelism > 1 {
		p.prefix = strconv.Itoa(c.Subtask+1) + "> "
	}
	return p.SinkBase.Open(ctx, c)
}

// Collect implements operator.Collector.
func (p *printer[T]) Collect(v T, _ operator.Time) error {
	p.line = append(p.line[:0], p.prefix...)
	p.line = append(fmt.Append(p.line, v), '\n')
	if _, err := p.to.Write(p.line); err != nil {
		return fmt.Errorf("print a record: %w", err)
	}
	return nil
}
