package rest

import (
	"html"
	"strings"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/restapi"
)

// planOf makes the plan of a job in Flink's form. The description is HTML, since Flink's page shows it as such: names are escaped in it.
func planOf(v *jobmaster.View) restapi.Plan {
	p := restapi.Plan{ID: v.Job.String(), Name: v.Name, Type: "STREAMING", Nodes: []restapi.PlanNode{}}
	if len(v.Plan.Operators) > 0 && v.Plan.Batch() {
		p.Type = "BATCH"
	}
	for i := len(v.Graph.Vertices) - 1; i >= 0; i-- { // sinks first, as recorded
		vertex := &v.Graph.Vertices[i]
		n := restapi.PlanNode{
			ID: vertex.ID.String(), Parallelism: vertex.Parallelism, Description: describe(v.Plan, vertex),
			OptimizerProperties: map[string]any{},
		}
		for num, edge := range vertex.In {
			e := v.Graph.Edges[edge]
			n.Inputs = append(n.Inputs, restapi.PlanInput{
				Num: num, ID: e.From.String(), ShipStrategy: strings.ToUpper(e.Ship.String()), Exchange: "pipelined_bounded",
			})
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
		b.WriteString(html.EscapeString(shownName(o)) + "<br/>")
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
