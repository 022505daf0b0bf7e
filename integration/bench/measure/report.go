package measure

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Version is the version of the JSON form.
const Version = 1

// Report is one run of the benchmarks.
type Report struct {
	Version int       `json:"version"`
	Date    time.Time `json:"date"`
	Commit  string    `json:"commit"`
	// Modified says that the tree differed from the commit.
	Modified bool    `json:"modified"`
	Go       string  `json:"go"`
	Machine  Machine `json:"machine"`
	Rows     []Row   `json:"rows"`
	// Bars is what the rows were held against, if anything.
	Bars []Judgement `json:"bars,omitempty"`
}

// Machine is where a report was made.
type Machine struct {
	OS          string `json:"os"` // with the kernel's version
	Arch        string `json:"arch"`
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
}

// Row is one thing that was run.
type Row struct {
	Name    string   `json:"name"`
	Command string   `json:"command"`
	Note    string   `json:"note,omitempty"` // what has to be known to read the numbers
	Metrics []Metric `json:"metrics"`
	// Load is the load average of one minute in front of each run: that of the work of others, and of the run before.
	Load []float64 `json:"load"`
	// Failed is why the row has no numbers, or fewer.
	Failed string `json:"failed,omitempty"`
}

// Metric is one number of a row, in every run.
type Metric struct {
	Name    string    `json:"name"`
	Unit    Unit      `json:"unit"`
	Better  Better    `json:"better"`
	Samples []float64 `json:"samples"`
}

// Unit is what the samples count, and decides how they are printed.
type Unit string

// The units.
const (
	PerSecond      Unit = "1/s"
	BytesPerSecond Unit = "B/s"
	Seconds        Unit = "s"
	Bytes          Unit = "B"
	Percent        Unit = "%"
	Count          Unit = "1"
)

// Better says which direction is an improvement.
type Better string

// The directions.
const (
	Higher Better = "higher"
	Lower  Better = "lower"
)

// Add adds a sample to the metric of that name, which is begun with its first sample.
func (r *Row) Add(name string, unit Unit, better Better, sample float64) {
	for i := range r.Metrics {
		if m := &r.Metrics[i]; m.Name == name {
			m.Samples = append(m.Samples, sample)
			return
		}
	}
	r.Metrics = append(r.Metrics, Metric{Name: name, Unit: unit, Better: better, Samples: []float64{sample}})
}

// Metric returns the metric of that name.
func (r *Row) Metric(name string) (Metric, bool) {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// Row returns the row of that name.
func (r *Report) Row(name string) (Row, bool) {
	for _, row := range r.Rows {
		if row.Name == name {
			return row, true
		}
	}
	return Row{}, false
}

// Write writes the report to a file, and makes the directory that it lies in.
func (r *Report) Write(path string) error {
	r.Version = Version
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Read reads a report that Write has written.
func Read(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("read report %s: it has version %d, this program reads %d", path, r.Version, Version)
	}
	return &r, nil
}
