// Package foreach is the sink that calls a function with each record.
//
// flow puts a Sink into the graph; its operator runs on the goroutine of its task, on which the function is called too, one record after
// the other. The function's error ends the task. The sink has no state and commits nothing.
package foreach

import "github.com/flott-dev/flott/taskrunner/operator"

// Sink is the factory of the sink operator.
type Sink[T any] struct{ F func(T) error }

// New implements operator.Factory.
func (s Sink[T]) New(next any) (operator.Operator, error) {
	return operator.Terminal(func() (operator.Operator, error) {
		return &caller[T]{f: s.F}, nil
	}).New(next)
}

type caller[T any] struct {
	operator.SinkBase
	f func(T) error
}

// Collect implements operator.Collector.
func (c *caller[T]) Collect(v T, _ operator.Time) error { return c.f(v) }
