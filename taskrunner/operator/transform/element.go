package transform

import "github.com/flott-dev/flott/taskrunner/operator"

// mapper hands on one record for each.
type mapper[I, O any] struct {
	operator.Base[O]
	f func(I) O
}

// Map returns the factory of an operator that applies f to every record.
func Map[I, O any](f func(I) O) operator.Factory {
	return operator.Transform[O](func(next operator.Output[O]) (operator.Operator, error) {
		return &mapper[I, O]{Base: operator.Base[O]{Next: next}, f: f}, nil
	})
}

// Collect implements operator.Collector.
func (m *mapper[I, O]) Collect(v I, t operator.Time) error { return m.Next.Collect(m.f(v), t) }

// tryMapper is mapper with a function that may fail.
type tryMapper[I, O any] struct {
	operator.Base[O]
	f func(I) (O, error)
}

// TryMap is Map with a function whose error ends the task.
func TryMap[I, O any](f func(I) (O, error)) operator.Factory {
	return operator.Transform[O](func(next operator.Output[O]) (operator.Operator, error) {
		return &tryMapper[I, O]{Base: operator.Base[O]{Next: next}, f: f}, nil
	})
}

// Collect implements operator.Collector.
func (m *tryMapper[I, O]) Collect(v I, t operator.Time) error {
	o, err := m.f(v)
	if err != nil {
		return err
	}
	return m.Next.Collect(o, t)
}

// filter hands on some records.
type filter[T any] struct {
	operator.Base[T]
	keep func(T) (bool, error)
}

// Filter returns the factory of an operator that hands on the records that keep approves of.
func Filter[T any](keep func(T) bool) operator.Factory {
	return TryFilter(func(v T) (bool, error) { return keep(v), nil })
}

// TryFilter is Filter with a function whose error ends the task.
func TryFilter[T any](keep func(T) (bool, error)) operator.Factory {
	return operator.Transform[T](func(next operator.Output[T]) (operator.Operator, error) {
		return &filter[T]{Base: operator.Base[T]{Next: next}, keep: keep}, nil
	})
}

// Collect implements operator.Collector.
func (f *filter[T]) Collect(v T, t operator.Time) error {
	ok, err := f.keep(v)
	if err != nil || !ok {
		return err
	}
	return f.Next.Collect(v, t)
}

// flatMapper hands on any number of records for each.
type flatMapper[I, O any] struct {
	operator.Base[O]
	f    func(I, operator.Emit[O]) error
	emit *operator.Emitter[O]
}

// FlatMap returns the factory of an operator whose function emits any number of records for each.
func FlatMap[I, O any](f func(I, operator.Emit[O])) operator.Factory {
	return TryFlatMap(func(v I, out operator.Emit[O]) error {
		f(v, out)
		return nil
	})
}

// TryFlatMap is FlatMap with a function whose error ends the task.
func TryFlatMap[I, O any](f func(I, operator.Emit[O]) error) operator.Factory {
	return operator.Transform[O](func(next operator.Output[O]) (operator.Operator, error) {
		return &flatMapper[I, O]{Base: operator.Base[O]{Next: next}, f: f, emit: operator.NewEmitter(next)}, nil
	})
}

// Collect implements operator.Collector.
func (m *flatMapper[I, O]) Collect(v I, t operator.Time) error {
	if err := m.f(v, m.emit.Begin(t)); err != nil {
		if cut := m.emit.End(); cut != nil {
			return cut // the function may have wrapped what it was told
		}
		return err
	}
	return m.emit.End()
}
