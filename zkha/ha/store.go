package ha

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"

	"github.com/flott-dev/flott/rpc/ids"
)

// ErrStored refuses to store something else than what is stored already.
var ErrStored = errors.New("ha: something else is stored already")

// ErrCorrupt is a record whose bytes are not those that were written.
var ErrCorrupt = errors.New("ha: the record is damaged")

// maxRecord bounds what is stored of a job, in bytes.
const maxRecord = 64 << 20

// fileStore keeps one create-once record per job in files <dir>/<job id><suffix>.
type fileStore struct {
	files  Files
	dir    string
	suffix string
	guard  func(context.Context) error
}

// StandaloneResultStore is the ResultStore without ZooKeeper: a create-once file per job.
type StandaloneResultStore struct{ fileStore }

// NewStandaloneResultStore keeps results in dir. guard says whether the owner's epoch may write (Standalone.Guard); nil: always.
func NewStandaloneResultStore(files Files, dir string, guard func(context.Context) error) *StandaloneResultStore {
	return &StandaloneResultStore{fileStore{files, dir, ".result", guard}}
}

// StandaloneJobStore is the JobStore without ZooKeeper, of an application with at most one job.
type StandaloneJobStore struct {
	fileStore
	job ids.JobID
}

// NewStandaloneJobStore keeps the plan of job in dir; guard as for results.
func NewStandaloneJobStore(files Files, dir string, job ids.JobID, guard func(context.Context) error) *StandaloneJobStore {
	return &StandaloneJobStore{fileStore{files, dir, ".job", guard}, job}
}

// Jobs lists the one job if it is stored.
func (s *StandaloneJobStore) Jobs(ctx context.Context) ([]ids.JobID, error) {
	_, found, err := s.Load(ctx, s.job)
	if err != nil || !found {
		return nil, err
	}
	return []ids.JobID{s.job}, nil
}

func (s fileStore) path(job ids.JobID) string { return path.Join(s.dir, job.String()+s.suffix) }

// Load implements ResultStore and JobStore.
func (s fileStore) Load(ctx context.Context, job ids.JobID) (data []byte, found bool, err error) {
	p := s.path(job)
	b, err := s.files.Read(ctx, p, maxRecord+recordHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", p, err)
	}
	if data, err = decodeRecord(b); err != nil {
		return nil, false, fmt.Errorf("read %s: %w", p, err)
	}
	return data, true, nil
}

// Store implements ResultStore and JobStore. When creating fails it looks at what is there, because an error may hide a success.
func (s fileStore) Store(ctx context.Context, job ids.JobID, data []byte) error {
	if len(data) > maxRecord {
		return fmt.Errorf("store %s: %d bytes, at most %d", s.path(job), len(data), maxRecord)
	}
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("store %s: %w", s.path(job), err)
	}
	err := s.files.CreateOnce(ctx, s.path(job), encodeRecord(data))
	if err == nil {
		return nil
	}
	present, found, loadErr := s.Load(ctx, job)
	switch {
	case loadErr == nil && found && bytes.Equal(present, data):
		return nil
	case loadErr == nil && found:
		err = ErrStored
	}
	return fmt.Errorf("store %s: %w", s.path(job), err)
}

// Remove implements ResultStore and JobStore.
func (s fileStore) Remove(ctx context.Context, job ids.JobID) error {
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("remove %s: %w", s.path(job), err)
	}
	if err := s.files.Delete(ctx, s.path(job)); err != nil {
		return fmt.Errorf("remove %s: %w", s.path(job), err)
	}
	return nil
}

func (s fileStore) check(ctx context.Context) error {
	if s.guard == nil {
		return nil
	}
	return s.guard(ctx)
}

// A record is "flott-ha", a version, the length of the data and its CRC-32C, then the data.
const (
	recordMagic   = "flott-ha"
	recordVersion = 1
	recordHeader  = len(recordMagic) + 4 + 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeRecord(data []byte) []byte {
	b := make([]byte, 0, recordHeader+len(data))
	b = append(b, recordMagic...)
	b = binary.BigEndian.AppendUint32(b, recordVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(data, castagnoli))
	return append(b, data...)
}

func decodeRecord(b []byte) ([]byte, error) {
	if len(b) < recordHeader || string(b[:len(recordMagic)]) != recordMagic {
		return nil, fmt.Errorf("%w: no header in %d bytes", ErrCorrupt, len(b))
	}
	h, data := b[len(recordMagic):recordHeader], b[recordHeader:]
	if v := binary.BigEndian.Uint32(h); v != recordVersion {
		return nil, fmt.Errorf("ha: record version %d is not supported, only %d", v, recordVersion)
	}
	if n := binary.BigEndian.Uint32(h[4:]); uint64(n) != uint64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes, %d announced", ErrCorrupt, len(data), n)
	}
	if crc32.Checksum(data, castagnoli) != binary.BigEndian.Uint32(h[8:]) {
		return nil, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	return data, nil
}
