package operator

// Emit is how a user's function emits any number of records. It is a small value; it is valid while the function runs.
//
// After an error (the task is being cancelled, the consumer is gone) it drops what it gets; the operator around the function returns
// the error when the function has come back.
type Emit[O any] struct{ e *Emitter[O] }

// To emits v with the time of the record being processed.
func (e Emit[O]) To(v O) {
	if e.e.err == nil {
		e.e.err = e.e.next.Collect(v, e.e.time)
	}
}

// At emits v with its own time.
func (e Emit[O]) At(v O, t Time) {
	if e.e.err == nil {
		e.e.err = e.e.next.Collect(v, t)
	}
}

// Ended reports whether emitting has become pointless; a function that emits without end has to return then.
func (e Emit[O]) Ended() bool { return e.e.err != nil }

// Emitter is the operator's side of an Emit.
type Emitter[O any] struct {
	next Output[O]
	time Time
	err  error
}

// NewEmitter returns the emitter of an operator in front of next.
func NewEmitter[O any](next Output[O]) *Emitter[O] { return &Emitter[O]{next: next, time: NoTime} }

// Begin returns the Emit for processing a record with time t.
func (e *Emitter[O]) Begin(t Time) Emit[O] {
	e.time = t
	return Emit[O]{e}
}

// End returns the first error of emitting.
func (e *Emitter[O]) End() error { return e.err }
