package dispatcher

import (
	"fmt"
	"strings"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
)

type jobID = ids.JobID

// Overview counts jobs as REST's /overview does.
type Overview struct{ Running, Finished, Cancelled, Failed int }

// Overview counts the jobs. Queries never wait for the loop.
func (d *Dispatcher) Overview() Overview {
	var o Overview
	for _, j := range *d.jobs.Load() {
		switch j.view().State {
		case scheduler.JobFinished:
			o.Finished++
		case scheduler.JobCanceled:
			o.Cancelled++
		case scheduler.JobFailed:
			o.Failed++
		default:
			o.Running++
		}
	}
	return o
}

// Jobs shows all jobs of this epoch in the order of submission.
func (d *Dispatcher) Jobs() []*jobmaster.View {
	var views []*jobmaster.View
	for _, j := range *d.jobs.Load() {
		views = append(views, j.view())
	}
	return views
}

// Job shows one job; rpc.ErrUnknownJob.
func (d *Dispatcher) Job(id ids.JobID) (*jobmaster.View, error) {
	if j := d.find(id); j != nil {
		return j.view(), nil
	}
	return nil, &rpc.Error{Code: rpc.UnknownJob, Msg: fmt.Sprintf("Job %s not found", id)}
}

// Result returns the stored end of a job, nil while it has none; rpc.ErrUnknownJob.
func (d *Dispatcher) Result(id ids.JobID) (*Result, error) {
	if j := d.find(id); j != nil {
		return j.result.Load(), nil
	}
	return nil, &rpc.Error{Code: rpc.UnknownJob, Msg: fmt.Sprintf("Job %s not found", id)}
}

// EndingStep names the step of the end that a job, or the application, is in; empty while none is.
func (d *Dispatcher) EndingStep() string {
	if p := d.phase.Load(); p != nil {
		return *p
	}
	return ""
}

// Plan is a job's plan in Flink's JSON form.
type Plan struct {
	JID   ids.JobID  `json:"jid"`
	Name  string     `json:"name"`
	Type  string     `json:"type"` // STREAMING or BATCH
	Nodes []PlanNode `json:"nodes"`
}

// PlanNode is one vertex of a Plan.
type PlanNode struct {
	ID                  ids.VertexID `json:"id"`
	Parallelism         int          `json:"parallelism"`
	Operator            string       `json:"operator"`
	OperatorStrategy    string       `json:"operator_strategy"`
	Description         string       `json:"description"` // the chain as a tree, lines end in <br/>
	Inputs              []PlanInput  `json:"inputs,omitempty"`
	OptimizerProperties struct{}     `json:"optimizer_properties"`
}

// PlanInput is one input of a PlanNode.
type PlanInput struct {
	Num          int          `json:"num"`
	ID           ids.VertexID `json:"id"`
	ShipStrategy string       `json:"ship_strategy"`
	Exchange     string       `json:"exchange"`
}

// PlanOf makes the plan of a job's view.
func PlanOf(v *jobmaster.View) Plan {
	p := Plan{JID: v.Job, Name: v.Name, Type: "STREAMING", Nodes: []PlanNode{}}
	if len(v.Plan.Operators) > 0 && v.Plan.Batch() {
		p.Type = "BATCH"
	}
	for i := range v.Graph.Vertices {
		vertex := &v.Graph.Vertices[i]
		n := PlanNode{ID: vertex.ID, Parallelism: vertex.Parallelism, Description: describe(v.Plan, vertex)}
		for num, edge := range vertex.In {
			e := v.Graph.Edges[edge]
			n.Inputs = append(n.Inputs, PlanInput{Num: num, ID: e.From, ShipStrategy: strings.ToUpper(e.Ship.String()), Exchange: "pipelined_bounded"})
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}

// describe draws the chain as a tree: "Source: a<br/>+- b<br/>   +- c<br/>".
func describe(p *plan.Plan, v *plan.Vertex) string {
	parent := map[ids.OperatorID]ids.OperatorID{}
	for _, id := range v.Chained {
		for i := range p.Edges {
			if p.Edges[i].ID == id {
				parent[p.Edges[i].To] = p.Edges[i].From
			}
		}
	}
	var b strings.Builder
	var draw func(op ids.OperatorID, depth int)
	draw = func(op ids.OperatorID, depth int) {
		if depth > 0 {
			b.WriteString(strings.Repeat("   ", depth-1) + "+- ")
		}
		o, _ := p.Operator(op)
		b.WriteString(shownName(o) + "<br/>")
		for _, child := range v.Operators {
			if from, ok := parent[child]; ok && from == op {
				draw(child, depth+1)
			}
		}
	}
	if len(v.Operators) > 0 {
		draw(v.Operators[0], 0)
	}
	return b.String()
}

// shownName has the prefix that Flink gives sources and sinks.
func shownName(o plan.Operator) string {
	switch o.Kind {
	case plan.Source:
		return "Source: " + o.Name
	case plan.Sink:
		return "Sink: " + o.Name
	}
	return o.Name
}
