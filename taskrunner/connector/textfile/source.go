package textfile

import (
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
)

// Source is the node of the source: the factory of the reader, and of the enumerator.
type Source struct {
	// Paths are files, directories and globs, with or without scheme.
	Paths []string
	// SplitSize is the length of a split in bytes; 0: the file's block size, within bounds.
	SplitSize int64
}

var (
	_ operator.Factory            = Source{}
	_ operator.CoordinatorFactory = Source{}
)

// NewCoordinator implements operator.CoordinatorFactory.
func (s Source) NewCoordinator(env operator.CoordinatorEnv) program.Coordinator {
	return newEnumerator(s, env)
}

// New implements operator.Factory.
func (s Source) New(next any) (operator.Operator, error) {
	out, err := operator.AsOutput[string](next)
	if err != nil {
		return nil, err
	}
	return newReader(out), nil
}
