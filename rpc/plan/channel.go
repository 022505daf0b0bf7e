package plan

import (
	"slices"

	"github.com/flott-dev/flott/rpc/ids"
)

// The channels of an edge are computed on both sides, by these two, and never listed on the wire.

// Consumers returns the first and the last consuming subtask of a producer, both inclusive.
func Consumers(g *JobGraph, e JobEdge, from int) (first, last int) {
	if e.Ship == Forward {
		return from, from
	}
	v, _ := g.Vertex(e.To)
	return 0, v.Parallelism - 1
}

// Producers returns the first and the last producing subtask of a consumer, both inclusive.
func Producers(g *JobGraph, e JobEdge, to int) (first, last int) {
	if e.Ship == Forward {
		return to, to
	}
	v, _ := g.Vertex(e.From)
	return 0, v.Parallelism - 1
}

// Regions returns the sets of vertices that fail and restart together: those connected by exchanges, all of which are pipelined. Regions
// and the vertices in them are in topological order.
func Regions(g *JobGraph) [][]ids.VertexID {
	region := make(map[ids.VertexID]int, len(g.Vertices))
	for i := range g.Vertices {
		region[g.Vertices[i].ID] = i
	}
	for _, e := range g.Edges {
		a, b := region[e.From], region[e.To]
		for v, r := range region {
			if r == max(a, b) {
				region[v] = min(a, b)
			}
		}
	}
	var out [][]ids.VertexID
	var at []int
	for i := range g.Vertices {
		id := g.Vertices[i].ID
		k := slices.Index(at, region[id])
		if k < 0 {
			k = len(at)
			at, out = append(at, region[id]), append(out, nil)
		}
		out[k] = append(out[k], id)
	}
	return out
}
