package rest

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/scheduler"
)

//go:embed page/*.html
var pageFiles embed.FS

func parsePages() *template.Template {
	return template.Must(template.ParseFS(pageFiles, "page/*.html")) // they are part of the binary, and tested
}

// pageData is what the page shows. All numbers and times are text already.
type pageData struct {
	Title       string
	Application string
	Refresh     int // seconds; 0: nothing will change any more
	NoLeader    bool
	Jobs        []pageJob
	Slots       resourcemanager.Overview
	Workers     []pageWorker
	Logs        []pageFile
	Now         string
}

type pageJob struct {
	ID, Name, State, Start, Duration, Phases string
	WaitingFor, Ending, Cause, Details       string
	OnHold                                   bool
	SlotsWanted, SlotsPresent                int
	Vertices                                 []pageVertex
	CancelToken                              string // empty: there is no button
}

type pageVertex struct {
	Name, State, Tasks                       string
	Parallelism                              int
	RecordsIn, RecordsOut, BytesIn, BytesOut string
}

type pageWorker struct {
	ID, Address, Heartbeat, LogURL string
	Slots, FreeSlots               int
}

type pageFile struct{ Name, Size string }

// page shows the application to a person.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	r, cancel := h.bounded(r)
	defer cancel()
	now := time.Now()
	data := pageData{Application: h.cfg.Application, Now: now.Format(time.DateTime + " MST"), Logs: h.pageLogs()}
	data.Refresh = max(1, int(h.cfg.RefreshInterval.Round(time.Second).Seconds()))
	l, leads := h.cfg.Leader()
	status := http.StatusOK
	if !leads {
		data.NoLeader, status = true, http.StatusServiceUnavailable
	} else if err := h.fillPage(&data, l, r, now); err != nil {
		h.fail(w, r, err)
		return
	}
	data.Title = "flott"
	if len(data.Jobs) > 0 {
		data.Title = data.Jobs[0].Name + ": " + data.Jobs[0].State
	} else if data.Application != "" {
		data.Title = data.Application
	}
	h.render(w, status, "index.html", data)
}

func (h *handler) fillPage(data *pageData, l Leader, r *http.Request, now time.Time) error {
	var err error
	if data.Slots, err = l.Workers.Overview(r.Context()); err != nil {
		return err
	}
	workers, err := l.Workers.Workers(r.Context())
	if err != nil {
		return err
	}
	for i := range workers {
		w := &workers[i]
		data.Workers = append(data.Workers, pageWorker{
			ID: string(w.ID), Address: w.Registration.GetAddress(), LogURL: w.LogURL, FreeSlots: w.FreeSlots,
			Slots: int(w.Registration.GetSlots()), Heartbeat: duration(now.Sub(w.LastHeartbeat)),
		})
	}
	for _, v := range l.Dispatcher.Jobs() {
		job := pageJobOf(v, now)
		job.Ending = l.Dispatcher.EndingStep()
		if h.cfg.AllowCancel && !h.cfg.ReadOnly && !v.State.Terminal() && v.State != scheduler.JobCancelling && v.State != scheduler.JobFailing {
			job.CancelToken = h.token
		}
		data.Jobs = append(data.Jobs, job)
	}
	return nil
}

func pageJobOf(v *jobmaster.View, now time.Time) pageJob {
	j := pageJob{
		ID: v.Job.String(), Name: v.Name, State: v.State.String(), WaitingFor: v.WaitingFor, OnHold: v.OnHold,
		SlotsWanted: v.WantedSlots, SlotsPresent: v.PresentSlots, Start: v.Start().Format(time.DateTime + " MST"), Phases: phases(v),
	}
	end := now
	if !v.End().IsZero() {
		end = v.End()
	}
	j.Duration = duration(end.Sub(v.Start()))
	if !v.Cause.IsZero() {
		j.Cause, j.Details = v.Cause.Sentence(), v.Cause.Details()
	}
	for _, x := range v.Vertices {
		j.Vertices = append(j.Vertices, pageVertex{
			Name: x.Name, State: x.State.String(), Tasks: tasks(x), Parallelism: x.Parallelism,
			RecordsIn: count(x.Metrics.RecordsIn), RecordsOut: count(x.Metrics.RecordsOut),
			BytesIn: size(x.Metrics.BytesIn), BytesOut: size(x.Metrics.BytesOut),
		})
	}
	return j
}

// phases says how long after the job's start each phase was reached.
func phases(v *jobmaster.View) string {
	var parts []string
	for _, p := range []struct {
		name string
		at   time.Time
	}{{"slots wanted", v.Phases.Wanted}, {"slots there", v.Phases.Placed}, {"running", v.Phases.Running}, {"tasks ended", v.Phases.Ended}} {
		if !p.at.IsZero() {
			parts = append(parts, p.name+" after "+duration(p.at.Sub(v.Start())))
		}
	}
	return strings.Join(parts, ", ")
}

// tasks counts a vertex's tasks by state, in words.
func tasks(x *scheduler.VertexView) string {
	var parts []string
	for _, s := range scheduler.TaskStates() {
		if n := x.Counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(s.String())))
		}
	}
	return strings.Join(parts, ", ")
}

func (h *handler) pageLogs() []pageFile {
	files, err := h.listOwn()
	if err != nil {
		return nil
	}
	var out []pageFile
	for _, f := range files {
		out = append(out, pageFile{f.Name, size(uint64(f.Size))})
	}
	return out
}

// duration prints two digits' worth: "1.2 s", "34 s", "5 m 6 s", "7 h 8 m".
func duration(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d m %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d m", int(d.Hours()), int(d.Minutes())%60)
}

// count prints a number in groups of three digits.
func count(n uint64) string {
	text := []byte(strconv.FormatUint(n, 10))
	for i := len(text) - 3; i > 0; i -= 3 {
		text = slices.Insert(text, i, ',')
	}
	return string(text)
}

// size prints a number of bytes.
func size(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1 << 10; f < 1<<10 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

func (h *handler) render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := h.pages.ExecuteTemplate(&b, name, data); err != nil {
		h.cfg.Log.Error("page not made", "page", name, "cause", err)
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString("The page could not be made.")
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	h.allowWrite(w)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader may have gone
}
