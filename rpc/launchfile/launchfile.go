package launchfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/rpc/plan"
)

// Environment variables by which a process learns its role and its launch file.
const (
	Variable        = "FLOTT_LAUNCH"    // path of the launch file
	RoleVariable    = "FLOTT_ROLE"      // "", plan, appmaster, worker, session
	PlanOutVariable = "FLOTT_PLAN_OUT"  // role plan: where to write the plan
	MasterVariable  = "FLOTT_MASTER"    // role worker: host:port of the AM's control endpoint
	EpochVariable   = "FLOTT_EPOCH"     // role worker: the leader's epoch when it was started
	LocalTCP        = "FLOTT_LOCAL_TCP" // local mode: 1 runs two workers over loopback
	Name            = "launch"          // of the file in the staging directory and in a container
	Program         = "job"             // of the job binary in a container
)

// Version is the version of the file that this build writes and reads. A job binary's [VersionMark] tells the CLI which one it reads.
const Version = 1

// VersionMark begins a text that stands in every binary that links this package and reads launch files, so that the CLI finds their
// version without running the binary. The version and a semicolon follow it.
const VersionMark = "flott-launch-version="

// mark is in the binary because Decode uses it.
var mark = VersionMark + "1;"

// MaxBytes bounds the file; a plan alone may have plan.MaxBytes.
const MaxBytes = 64 << 20

// File is the content.
type File struct {
	Version int `json:"version"`
	// Application is the YARN application's id; empty in local runs.
	Application string `json:"application,omitempty"`
	// ResourceManager names the YARN RM that was asked, as in the staging area's owner file.
	ResourceManager string `json:"resource_manager,omitempty"`
	User            string `json:"user,omitempty"`
	// Args are the job's own arguments, without the program's name.
	Args []string `json:"args"`
	// Parallelism is what -p said; 0: parallelism.default.
	Parallelism int `json:"parallelism,omitempty"`
	// Plan is the resolved plan (plan.Marshal) with the recorded parameters, as the submitter's build made it; empty in local runs.
	Plan []byte `json:"plan,omitempty"`
	// Configuration and Hadoop are conf.Config and hadoopconf.Config in their encoded forms.
	Configuration []byte `json:"configuration,omitempty"`
	Hadoop        []byte `json:"hadoop,omitempty"`
	// StagingDir is the parent of .flott, as a URI.
	StagingDir string `json:"staging_dir,omitempty"`
	// Binary is the job binary in the cache.
	Binary Artifact `json:"binary"`
	// Submitted is when the command began.
	Submitted time.Time `json:"submitted"`
}

// Artifact is a file that containers get, exactly as YARN wants to know it.
type Artifact struct {
	URI           string `json:"uri,omitempty"`
	Size          int64  `json:"size,omitempty"`            // bytes
	ModTimeMillis int64  `json:"mod_time_millis,omitempty"` // Unix time
}

// Encode returns the file's bytes.
func (f File) Encode() ([]byte, error) {
	f.Version = Version
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode launch file: %w", err)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("encode launch file: %d bytes, at most %d", len(b), MaxBytes)
	}
	return b, nil
}

// Decode reads what Encode wrote.
func Decode(r io.Reader) (File, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return File{}, fmt.Errorf("read launch file: %w", err)
	}
	if len(b) > MaxBytes {
		return File{}, fmt.Errorf("read launch file: more than %d bytes", MaxBytes)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return File{}, fmt.Errorf("read launch file: %w", err)
	}
	if head.Version != Version {
		return File{}, fmt.Errorf("the launch file has version %d, this program reads version %d (%s): build the job and the flott command from the same release",
			head.Version, Version, mark)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var f File
	if err := dec.Decode(&f); err != nil {
		return File{}, fmt.Errorf("read launch file: %w", err)
	}
	return f, nil
}

// Read reads the file at path.
func Read(path string) (File, error) {
	r, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("open launch file: %w", err)
	}
	defer r.Close()
	return Decode(r)
}

// Config decodes the configuration; without one it is all defaults.
func (f File) Config() (*conf.Config, error) {
	if len(f.Configuration) == 0 {
		return &conf.Config{}, nil
	}
	c, err := conf.Decode(f.Configuration)
	if err != nil {
		return nil, fmt.Errorf("configuration in the launch file: %w", err)
	}
	return c, nil
}

// HadoopConfig decodes the Hadoop configuration; without one it is empty.
func (f File) HadoopConfig() (*hadoopconf.Config, error) {
	if len(f.Hadoop) == 0 {
		return hadoopconf.New(nil), nil
	}
	c, err := hadoopconf.Decode(f.Hadoop)
	if err != nil {
		return nil, fmt.Errorf("the launch file's Hadoop configuration: %w", err)
	}
	return c, nil
}

// ErrNoPlan is returned by JobPlan for a file of a local run.
var ErrNoPlan = errors.New("the launch file holds no plan")

// JobPlan decodes the plan.
func (f File) JobPlan() (*plan.Plan, error) {
	if len(f.Plan) == 0 {
		return nil, ErrNoPlan
	}
	p, err := plan.Unmarshal(f.Plan)
	if err != nil {
		return nil, fmt.Errorf("plan in the launch file: %w", err)
	}
	return p, nil
}
